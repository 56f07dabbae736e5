"""Labels as a user writes them: what is one class, and what only looks like another."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from zoo.plugin import UsageError


def label_of(value: Any, where: str) -> str | None:
    """A label as text, without blanks around it; None where there is none.

    Raises:
        UsageError: it is a list or an object; ``where`` names it.
    """
    if isinstance(value, (list, dict)):
        raise UsageError(
            f"{where} is {json.dumps(value)[:60]}; a classifier takes one label an image, a text "
            "or a whole number; where several hold at once, give --data.multilabel true"
        )
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = "" if value is None else str(value).strip()
    return text or None


def labels_of(value: Any, separator: str, where: str) -> list[str]:
    """Several labels: the items of a list, or a text divided at the separator.

    Raises:
        UsageError: it is an object, or holds one; ``where`` names it.
    """
    if not isinstance(value, list):
        value = value.split(separator) if isinstance(value, str) else [value]
    return [label for each in value if (label := label_of(each, where)) is not None]


def sorted_names(names: set[str]) -> list[str]:
    """Numbers by their value, other names by the alphabet."""
    if all(name.removeprefix("-").isdecimal() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def blanks(values: Iterable[Any]) -> list[str]:
    """What is told of labels with blanks around them."""
    padded = Counter(v for v in values if isinstance(v, str) and v.strip() and v != v.strip())
    if not padded:
        return []
    shown = ", ".join(repr(label) for label, _ in padded.most_common(3))
    return [f"labels with blanks around them, which are removed: {padded.total()} ({shown})"]


def alike(counts: dict[str, int]) -> list[str]:
    """What is told of classes whose names differ in case, in blanks or underscores alone.

    Args:
        counts: The classes' names, and how many images each has.
    """
    same: dict[str, list[str]] = {}
    for name in counts:
        bare = "".join(name.replace("_", " ").replace("-", " ").casefold().split())
        same.setdefault(bare, []).append(name)
    pairs = [
        " and ".join(f"{name!r} ({counts[name]})" for name in names)
        for bare, names in same.items()
        if len(names) > 1 and not bare.isdecimal()
    ]
    if not pairs:
        return []
    shown = "; ".join(pairs[:3]) + (f"; and {len(pairs) - 3} more" if len(pairs) > 3 else "")
    return [f"classes whose names differ in case or blanks alone are taken for several: {shown}"]
