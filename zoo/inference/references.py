"""Which words of a command are models and which are files; nothing is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.bundles.manifest import MANIFEST
from zoo.bundles.stages import PREFIX
from zoo.registry.registry import registry
from zoo.runs.group import is_group
from zoo.runs.run import Run


def split_references(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The references at the beginning, and the files and folders behind them.

    The first word is a reference. Those that follow are, up to the first that is not: what exists
    is one if it is a run, a bundle, a group of runs or a checkpoint file; what does not exist, if
    it is a registered checkpoint's name, ``recipe:NAME`` or an address.
    """
    count = next((i for i, word in enumerate(words) if i and not is_reference(word)), len(words))
    return list(words[:count]), list(words[count:])


def is_reference(word: str) -> bool:
    """Whether a word names a model, rather than a file or a folder of files."""
    if "://" in word:
        return True
    path = Path(word)
    try:
        there = path.exists()
    except (OSError, ValueError):  # no name of a file
        there = False
    if there:
        return (
            path.suffix == ".ckpt"
            or is_group(path)
            or Run(path).recipe_file.is_file()
            or (path / MANIFEST).is_file()
        )
    return word.startswith(PREFIX) or word in registry().checkpoints
