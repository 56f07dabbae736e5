"""A sentence for a value that does not have its argument's type, out of jsonargparse's report.

jsonargparse tells the expected type in the text of its error only; all that is read out of that
text is read here, and tests/test_arguments.py notices if a release words it differently.
"""

from __future__ import annotations

import re
from typing import Any

from zoo.errors import shown

_EXPECTED = re.compile(r"Subtypes: \[(.+?)\] Errors|Expected an? (.+?)(?:\.? Got value|$)")
_LITERAL = re.compile(r"Literal\[(.*?)\]")
_BAD_CLASS = "Problem with given class_path '"
_MOST = 500
"""Letters of a report that is shown as it is; it repeats the value."""
_REQUIRED = "the following arguments are required: "


def type_fault(key: str, error: Exception, value: Any) -> str:
    """The sentence.

    Args:
        key: The argument, as its user writes it.
        error: What jsonargparse raised for this argument alone.
        value: The value that was given.
    """
    if reason := class_fault(error):
        return f"'{key}' does not work: {reason}"
    text = " ".join(str(error).split())
    found = _EXPECTED.search(text)
    if not found:
        return f"'{key}' cannot be {shown(value)}: {text[:_MOST]}"
    expected = _plain(found[1] or found[2])
    if choices := _choices(expected):
        return f"'{key}' has to be one of {choices}, not {shown(value)}"
    return f"'{key}' has to be of type {expected}, not {shown(value)}"


def class_fault(error: Exception) -> str:
    """Why a class that is named by its ``class_path`` cannot be made; empty if that is not it."""
    _, _, found = " ".join(str(error).split()).partition(_BAD_CLASS)
    path, _, reason = found.partition("': ")
    return f"{path}: {reason.partition(' - ')[0]}" if found else ""


def required_arguments(error: Exception) -> tuple[str, ...]:
    """The arguments that jsonargparse misses, of a class that was given none."""
    _, _, names = str(error).partition(_REQUIRED)
    return tuple(names.split(", ")) if names else ()


def _plain(types: str) -> str:
    """Types as a person writes them: without ``<class ...>`` and modules, null for None."""
    types = re.sub(r"<class '([\w.]+)'>", r"\1", types).replace("NoneType", "null")
    return re.sub(r"('[^']*')|(?:[A-Za-z_]\w*\.)+", r"\1", types)  # choices in quotes stay


def _choices(types: str) -> str:
    """The choices, if the types are nothing but choices and null."""
    rest = set(_LITERAL.sub("", types).split(", "))
    return _LITERAL.sub(r"\1", types) if "Literal[" in types and rest <= {"", "null"} else ""
