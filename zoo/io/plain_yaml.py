"""YAML of unknown origin, read within bounds: plain values, each key once, no bomb.

The text is looked through event by event, which costs as much as it has letters whatever they are,
before anything is made of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from zoo.io.bounds import read_bytes
from zoo.io.yaml_events import CORE, Looked, YAMLFault

_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Libyaml's, ten times as fast, where PyYAML was built with it."""
MAX_BYTES = 1 << 20
"""Of a file. A recipe that names 20,000 classes has about 400,000."""


class _Loader(_Parser):  # type: ignore[misc]
    """Dates stay the text that they were written as: no argument takes one, no JSON holds one."""


_Loader.add_constructor(f"{CORE}timestamp", _Loader.construct_yaml_str)


def read_yaml_file(path: Path) -> Any:
    """The content of a YAML file: mappings, lists, texts, numbers, truth values and nulls.

    Args:
        path: A file of one document, in UTF-8 with or without a mark of byte order.

    Raises:
        YAMLFault: it is no such file, or has a key twice, or more than a recipe can need.
        OSError: it cannot be read.
    """
    data = read_bytes(path, MAX_BYTES)
    if data is None:
        raise YAMLFault(f"it has more than {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise YAMLFault(
            f"line {line}: it is not UTF-8 (byte 0x{data[error.start]:02x}): save it as UTF-8"
        ) from error
    return read_yaml_text(text)


def read_yaml_text(text: str) -> Any:
    """As ``read_yaml_file``, of a text.

    Raises:
        YAMLFault: as there.
    """
    try:
        _look_through(text, Looked())
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise YAMLFault(_sentence(error, text)) from error
    except ValueError as error:
        if isinstance(error, YAMLFault):
            raise
        raise YAMLFault(" ".join(str(error).split())) from error  # `!!int "a"`


def value_fault(text: str) -> str:
    """What is wrong with a text that may be YAML, such as a value on the command line; empty if
    nothing is. One that is not YAML is a text like any other."""
    try:
        _look_through(text, Looked(form=False))
    except YAMLFault as error:
        return str(error)
    except yaml.YAMLError:
        return ""
    return ""


def _look_through(text: str, looked: Looked) -> None:
    for event in yaml.parse(text, Loader=_Parser):
        looked.take(event)


def _sentence(error: yaml.YAMLError, text: str) -> str:
    """The line, and what the parser says."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        said = [getattr(error, "context", None), getattr(error, "problem", None)]
        reason = ", ".join(" ".join(str(each).split()) for each in said if each)
        hint = "; indent with spaces, not tabs" if _at(text, mark) == "\t" else ""
        return f"line {mark.line + 1}: {reason}{hint}"
    position = getattr(error, "position", None)
    if position is None:
        return " ".join(str(error).split())
    line = text.count("\n", 0, position) + 1
    return f"line {line}: the character {text[position : position + 1]!r} is not allowed in YAML"


def _at(text: str, mark: Any) -> str:
    lines = text.split("\n", mark.line + 1)
    return lines[mark.line][mark.column : mark.column + 1] if mark.line < len(lines) else ""
