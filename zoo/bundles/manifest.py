"""``bundle.json``, the manifest of a bundle: its form, field by field, and its one reader."""

from __future__ import annotations

import hashlib
import json
import re
import reprlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zoo.bundles.format_1 import upgrade_manifest
from zoo.errors import UsageError
from zoo.io.bounds import read_json

MANIFEST = "bundle.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"
FORMAT = 2
"""Raised when an older zoo could not read what is written."""
MAX_BYTES = 4 << 20
"""Of a manifest. One with the names of 20,000 classes has about one million."""
_SHA256 = re.compile(r"[0-9a-f]{64}")

Check = tuple[str, Callable[[Any], bool]]
"""What a value has to be, in words, and whether it is."""


def is_file_name(name: str) -> bool:
    """Whether ``name`` can only be a file right inside a folder, on any system."""
    return name not in ("", ".", "..") and not set(name) & set("/\\:\0")


def _is_name(value: Any) -> bool:
    """Names are printed and become parts of paths, so they hold no control characters."""
    return isinstance(value, str) and 0 < len(value) <= 1000 and value.isprintable()


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_metric(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


_NAME: Check = ("a name", _is_name)
_TEXT: Check = ("a text", lambda value: isinstance(value, str))
_WHOLE: Check = ("a whole number from 0", _is_whole)
_HASH: Check = (
    "64 hexadecimal digits",
    lambda value: isinstance(value, str) and _SHA256.fullmatch(value) is not None,
)
_MAPPING: Check = ("a mapping", lambda value: isinstance(value, dict))
_METRICS: Check = (
    "a mapping of names to numbers",
    lambda value: isinstance(value, dict) and all(map(_is_metric, value.values())),
)

_FORM: dict[str, Any] = {
    "created": _TEXT,
    "model": {"name": _NAME, "arguments": _MAPPING},
    "plugin": {"name": _NAME, "distribution": _NAME, "version": _NAME},
    "preprocessing": _MAPPING,
    "facts": _MAPPING,
    "recipe": {
        "name": _NAME,
        "about": _MAPPING,
        "seed": _WHOLE,
        "model": {"name": _NAME},
        "data": {"name": _NAME},
        "trainer": _MAPPING,
    },
    "metrics": {"values": _METRICS, "command": _TEXT, "seed": _WHOLE},
    "license": {"weights": _TEXT, "data": _TEXT},
    "versions": _MAPPING,
    "origin": _MAPPING,
    "files": _MAPPING,
}
"""Every field that a manifest has to have; others are allowed, and ignored."""
_FILE: dict[str, Any] = {"sha256": _HASH, "size": _WHOLE}


def read_manifest(folder: Path, remedy: str = "fetch the bundle again") -> dict[str, Any]:
    """The manifest of a bundle folder, verified against its own hash and of the right form.

    Args:
        folder: The bundle's folder.
        remedy: What to do about a manifest that is refused, for the message.

    Returns:
        Its content, under the names of the newest format.

    Raises:
        UsageError: it is missing, too large, not JSON, was edited, lacks a field or has one of
            the wrong type, or is of a newer format.
    """
    file = folder / MANIFEST
    content = _parse(file, remedy)
    number = content.get("format")
    if not isinstance(number, int) or isinstance(number, bool):
        raise UsageError(
            f"{file} is not the manifest of a bundle: it has no format number; {remedy}"
        )
    if number > FORMAT:
        raise UsageError(
            f"{file} has the format {number}, this zoo reads up to {FORMAT}: update zoo"
        )
    if number < 1:
        raise UsageError(
            f"{file} has the format {number}, but formats are counted from 1: {remedy}"
        )
    if content.get("sha256") != content_hash(content):
        raise UsageError(f"{file} was changed after it was written (its hash differs): {remedy}")
    if number == 1:
        content = upgrade_manifest(content)
    if problems := _faults(content, _FORM) or _faults_of_files(content["files"]):
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise UsageError(
            f"{file} is not the manifest of a bundle: {'; '.join(problems[:3])}{more}: {remedy}"
        )
    content["files"].pop(CARD, None)  # prose; bundles of before hold its hash too
    return content


def content_hash(content: Mapping[str, Any]) -> str:
    """SHA-256 of the content of ``bundle.json`` without its own ``sha256``."""
    rest = {key: value for key, value in content.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _parse(file: Path, remedy: str) -> dict[str, Any]:
    try:
        content = read_json(file, MAX_BYTES)
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read ({error}): {remedy}") from error
    if not isinstance(content, dict):
        raise UsageError(
            f"{file} is not the manifest of a bundle: it has no format number; {remedy}"
        )
    return content


def _faults(content: Mapping[str, Any], form: Mapping[str, Any], where: str = "") -> list[str]:
    """What is wrong with a mapping, as parts of a sentence."""
    faults = []
    for key, wanted in form.items():
        name = f"{where}{key}"
        if key not in content:
            faults.append(f"{name!r} is missing")
            continue
        value = content[key]
        what, fits = _MAPPING if isinstance(wanted, dict) else wanted
        if not fits(value):
            faults.append(f"{name!r} has to be {what}, not {reprlib.repr(value)}")
        elif isinstance(wanted, dict):
            faults += _faults(value, wanted, f"{name}.")
    return faults


def _faults_of_files(files: Mapping[str, Any]) -> list[str]:
    faults = []
    for name, stated in files.items():
        if not is_file_name(name):
            faults.append(f"it names a path outside itself, {reprlib.repr(name)}")
        elif not _is_name(name) or name == MANIFEST or name.startswith("."):
            faults.append(f"it lists {reprlib.repr(name)}, which is not a name for a file of it")
        elif not isinstance(stated, dict):
            faults.append(f"'files.{name}' has to be a mapping, not {reprlib.repr(stated)}")
        else:
            faults += _faults(stated, _FILE, f"files.{name}.")
    if WEIGHTS not in files:
        faults.append(f"it lists no {WEIGHTS}, so nothing vouches for the weights")
    return faults
