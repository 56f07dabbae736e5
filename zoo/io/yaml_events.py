"""What a YAML text holds, counted while it is parsed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from zoo.io.bounds import MAX_DEPTH, MAX_DIGITS, MAX_VALUES

CORE = "tag:yaml.org,2002:"
"""Before the names of YAML's own tags."""
_TAGS = frozenset(CORE + name for name in ("str", "int", "float", "bool", "null", "seq", "map"))
_NO_KEY = frozenset(CORE + name for name in ("bool", "null", "float"))
_NUMBER = re.compile(r"[-+]?[0-9][0-9a-fA-FxXob_:.]*")
_RESOLVER: Any = yaml.resolver.Resolver()


class YAMLFault(ValueError):
    """What is wrong with a text, in one sentence that names the line."""


@dataclass
class _Open:
    """A list or a mapping whose end was not reached.

    Attributes:
        anchor: Its name for aliases, if it has one.
        keys: Of a mapping: key to line; None for a list.
        at_key: Whether the next value is a key.
        size: Values in it, those behind aliases counted each time.
    """

    anchor: str | None
    keys: dict[str, int] | None
    at_key: bool = True
    size: int = 1


@dataclass
class Looked:
    """Takes the events of a text one after the other, and refuses the first that is too much.

    Attributes:
        form: Whether the text has to be one document of plain values with texts as keys.
        opened: Lists and mappings around the next value, the innermost last.
        sizes: Values behind each anchor.
        documents: How many began.
    """

    form: bool = True
    opened: list[_Open] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    documents: int = 0

    def take(self, event: Any) -> None:
        """One event of ``yaml.parse``.

        Raises:
            YAMLFault: a bomb of aliases, deep nesting, too many values or digits, a key twice; a
                tag, a second document or a key of another kind where the form is looked at.
        """
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._document(line)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event.anchor, line)
        elif isinstance(event, yaml.ScalarEvent):
            self._tag(event.tag, line)
            self._scalar(event, line)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._tag(event.tag, line)
            self._open(event, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            closed = self.opened.pop()
            self._add(closed.size, closed.anchor, line)

    def _document(self, line: int) -> None:
        self.documents += 1
        if self.documents > 1 and self.form:
            raise YAMLFault(f"line {line}: a second document begins; put it into a file of its own")

    def _open(self, event: Any, line: int) -> None:
        if len(self.opened) >= MAX_DEPTH:
            raise YAMLFault(f"line {line}: its values are nested more than {MAX_DEPTH} deep")
        if self._keys() is not None:
            raise YAMLFault(f"line {line}: a key is a list or a mapping; keys are texts")
        keys: dict[str, int] | None = {} if isinstance(event, yaml.MappingStartEvent) else None
        self.opened.append(_Open(event.anchor, keys))

    def _scalar(self, event: Any, line: int) -> None:
        text = event.value
        if not event.style and len(text) > MAX_DIGITS and _NUMBER.fullmatch(text):
            raise YAMLFault(f"line {line}: a number of {len(text)} digits")
        keys = self._keys()
        if keys is not None:
            if text in keys:
                both = (
                    f"the lines {keys[text]} and {line}" if line != keys[text] else f"line {line}"
                )
                raise YAMLFault(f"the key {text[:100]!r} stands twice in one mapping, in {both}")
            keys[text] = line
            if self.form and event.implicit[0]:
                _refuse_other_keys(text, line)
        self._add(1, event.anchor, line)

    def _alias(self, anchor: str | None, line: int) -> None:
        if any(each.anchor == anchor for each in self.opened):
            raise YAMLFault(f"line {line}: *{anchor} stands inside what it stands for")
        if self._keys() is not None:
            raise YAMLFault(f"line {line}: the key is *{anchor}; write the text itself")
        self._add(self.sizes.get(anchor or "", 1), None, line)

    def _tag(self, tag: str | None, line: int) -> None:
        if self.form and tag and tag != "!" and tag not in _TAGS:
            name = tag.replace(CORE, "!!")
            raise YAMLFault(
                f"line {line}: the tag {name[:100]} asks for an object, but values here are "
                "plain: texts, numbers, true, false, null, lists and mappings"
            )

    def _keys(self) -> dict[str, int] | None:
        """The keys so far, if the next value is a key."""
        inside = self.opened[-1] if self.opened else None
        return inside.keys if inside is not None and inside.at_key else None

    def _add(self, size: int, anchor: str | None, line: int) -> None:
        if anchor:
            self.sizes[anchor] = size
        if self.opened:
            inside = self.opened[-1]
            inside.size += size
            inside.at_key = not inside.at_key
            size = inside.size
        if size > MAX_VALUES:
            raise YAMLFault(f"line {line}: it holds more than {MAX_VALUES} values")


def _refuse_other_keys(key: str, line: int) -> None:
    if _RESOLVER.resolve(yaml.ScalarNode, key, (True, False)) in _NO_KEY:
        raise YAMLFault(f"line {line}: the key {key[:100]!r} is not a text in YAML: quote it")
