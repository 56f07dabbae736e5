"""Arguments that jsonargparse cannot write down: a default that is an object, such as a device, and
text where a function is taken too. It writes a sentence in their place. A default that is a member
of an enumeration where a text is taken, such as the interval of a Timer, makes it fail."""

from __future__ import annotations

import contextlib
import enum
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

_SENTENCE = "Unable to serialize instance "


@contextlib.contextmanager
def no_warning() -> Iterator[None]:
    """While arguments are written down that ``restore`` mends; members of enumerations are written
    as their values."""
    before = yaml.SafeDumper.yaml_multi_representers
    representers: dict[type, Any] = {**before, enum.Enum: _value}
    yaml.SafeDumper.yaml_multi_representers = representers
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", rf"\s*{_SENTENCE}")
            yield
    finally:
        yaml.SafeDumper.yaml_multi_representers = before


def restore(written: Any, given: Any) -> Any:
    """What was written, with what was given in place of each such sentence; a default is left out.

    Args:
        written: Primitives, as jsonargparse wrote them.
        given: What they were read from; may be YAML text.
    """
    if isinstance(given, str) and isinstance(written, (dict, list)):
        given = yaml.safe_load(given)
    if isinstance(written, dict):
        before = given if isinstance(given, Mapping) else {}
        return {
            key: before[key] if _lost(value) else restore(value, before.get(key))
            for key, value in written.items()
            if key in before or not _lost(value)
        }
    if isinstance(written, list):
        items = given if isinstance(given, list) and len(given) == len(written) else [None]
        return [restore(*both) for both in zip(written, items * len(written), strict=False)]
    return written


def _value(dumper: yaml.SafeDumper, member: enum.Enum) -> yaml.Node:
    return dumper.represent_data(member.value)


def _lost(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(_SENTENCE)
