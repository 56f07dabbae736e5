"""The recipes of many runs, read in a moment: section by section, each text once.

A list of hundreds of runs would spend most of its time on YAML, though nearly all of its text is
the same from run to run.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from zoo.io.bounds import read_bytes
from zoo.io.plain_yaml import MAX_BYTES, read_yaml_text
from zoo.io.yaml_events import YAMLFault
from zoo.recipes.format_1 import upgrade_recipe

_NEEDED = {"model", "data"}


def read_sections(path: Path, wanted: Sequence[str] = ()) -> dict[str, Any]:
    """The content of a run's ``recipe.yaml``, under the names of today.

    Args:
        path: The file.
        wanted: The sections to read; all of them if empty. The others are not looked at.

    Returns:
        The sections, which other recipes share: they are not to be changed.

    Raises:
        YAMLFault: it is not UTF-8, not YAML, or not a recipe.
        OSError: it cannot be read.
    """
    data = read_bytes(path, MAX_BYTES)
    if data is None:
        raise YAMLFault(f"it has more than {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise YAMLFault("it is not UTF-8") from None
    parts = _sections(text)
    whole = not parts.keys() >= _NEEDED  # not as a run writes it
    chosen = [text] if whole else [parts[key] for key in parts if not wanted or key in wanted]
    content: dict[str, Any] = {}
    for each in chosen:
        parsed = _parse(each)
        if not isinstance(parsed, dict):
            raise YAMLFault("it is not a mapping")
        content |= parsed
    if whole and not content.keys() >= _NEEDED:
        raise YAMLFault("'model' or 'data' is missing")
    return upgrade_recipe(content)


def _sections(text: str) -> dict[str, str]:
    """The text of each section of a recipe. What is not written by a run, such as a mapping in
    braces, has none."""
    parts: dict[str, list[str]] = {}
    inside: list[str] | None = None
    for line in text.splitlines(keepends=True):
        if line[:1].isalpha():
            key = line.partition(":")[0]
            if key in parts:
                raise YAMLFault(f"the key {key!r} stands twice")
            inside = parts.setdefault(key, [])
        elif inside is None:
            return {}
        inside.append(line)
    return {key: "".join(lines) for key, lines in parts.items()}


@lru_cache(maxsize=4096)
def _parse(text: str) -> Any:
    return read_yaml_text(text)
