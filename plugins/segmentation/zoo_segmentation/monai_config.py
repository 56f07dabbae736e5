"""Values of a MONAI bundle's configuration: references are followed, expressions are not run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_REFERENCE = re.compile(r"\$?@([\w#:.]+)")
_FOLLOWED = 20
"""References one after another; more are a circle."""


class _Missing:
    def __repr__(self) -> str:
        return "missing"


MISSING = _Missing()


class Config:
    """A configuration by its keys.

    Args:
        content: The whole.
        source: What to call it.
    """

    def __init__(self, content: Mapping[str, Any], source: str) -> None:
        self._content, self.source = content, source

    def has(self, key: str) -> bool:
        """Whether there is such a key at the top."""
        return key in self._content

    def get(self, key: str) -> Any:
        """The value at a path such as ``preprocessing#transforms#0``, references followed."""
        value: Any = self._content
        for part in re.split("#|::", key):
            value = self._follow(value)
            if isinstance(value, Mapping) and part in value:
                value = value[part]
            elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
                value = value[int(part)]
            else:
                return MISSING
        return self._follow(value)

    def first(self, keys: Sequence[str], name: str) -> Any:
        """The value ``name`` of the first of the keys that has it, resolved; None without."""
        for key in keys:
            found = self.get(f"{key}#{name}")
            if found is not MISSING:
                value = self.resolve(found)
                return None if self.holds_code(value) else value
        return None

    def resolve(self, value: Any, depth: int = 0) -> Any:
        """A value with all references in it followed; what leads nowhere stays as it is."""
        value = self._follow(value)
        if depth > _FOLLOWED:
            return value
        if isinstance(value, list):
            return [self.resolve(each, depth + 1) for each in value]
        if isinstance(value, Mapping):
            return {key: self.resolve(each, depth + 1) for key, each in value.items()}
        return value

    def transforms(self, key: str) -> Iterator[dict[str, Any]]:
        """The transforms of a Compose, or the one that stands there, resolved."""
        found = self.resolve(self.get(key))
        if not isinstance(found, Mapping):
            return
        inner = found.get("transforms")
        for each in inner if isinstance(inner, list) else [found]:
            if isinstance(each, Mapping) and each.get("_disabled_") is not True:
                if isinstance(each.get("transforms"), list):
                    yield from (dict(one) for one in each["transforms"] if isinstance(one, Mapping))
                else:
                    yield dict(each)

    def holds_code(self, value: Any) -> bool:
        """Whether an expression, or a reference that leads nowhere, is in it."""
        if isinstance(value, str):
            return value.startswith(("$", "@", "%"))
        if isinstance(value, Mapping):
            return any(map(self.holds_code, value.values()))
        return isinstance(value, list) and any(map(self.holds_code, value))

    def _follow(self, value: Any) -> Any:
        for _ in range(_FOLLOWED):
            match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
            if match is None:
                return value
            there: Any = self._content
            for part in re.split("#|::", match[1]):
                if isinstance(there, Mapping) and part in there:
                    there = there[part]
                elif isinstance(there, list) and part.isdigit() and int(part) < len(there):
                    there = there[int(part)]
                else:
                    return value
            value = there
        return value
