"""The files that a user means by files and folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from zoo.errors import UsageError

_COPIES = ("__MACOSX", "@eaDir")
"""Folders that archivers and file servers add: of AppleDouble files, of thumbnails."""


def find_files(paths: Sequence[str | Path], suffixes: Sequence[str]) -> list[Path]:
    """The files meant: each file given, and of each folder, and those in it, the ones with one of
    the suffixes.

    Inside a folder what is hidden is left out, as it is no data or a copy of them: names that
    begin with a dot (``.ipynb_checkpoints``, ``._image.png``) and folders of thumbnails. Links to
    folders are followed, each folder once.

    Raises:
        UsageError: a path does not exist or cannot be read, or there is no file at all.
    """
    files: list[Path] = []
    hidden: list[Path] = []
    missing = [str(path) for path in paths if not Path(path).exists()]
    if missing:
        raise UsageError(f"there is no file or folder {', '.join(map(repr, missing))}")
    for given in paths:
        path = Path(given)
        if path.is_dir():
            found = [p for p in _walk(path, hidden) if p.name.lower().endswith(tuple(suffixes))]
            files += sorted(p for p in found if p.is_file())
        else:
            files.append(path)
    if not files:
        kinds = ", ".join(sorted(suffixes))
        left_out = f"; left out as hidden: {hidden[0]}" if hidden else ""
        more = f" and {len(hidden) - 1} more" if len(hidden) > 1 else ""
        raise UsageError(
            f"no file in {', '.join(map(str, paths))} ends in one of {kinds}{left_out}{more}"
        )
    return files


def _walk(folder: Path, hidden: list[Path]) -> Iterator[Path]:
    """Every path to a file in a folder that is not hidden; the others are added to ``hidden``."""
    visited = {os.path.realpath(folder)}
    for parent, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        where = Path(parent)
        kept = []
        for name in sorted(folders):
            real = os.path.realpath(where / name)
            if _is_hidden(name):
                hidden.append(where / name)
            elif real not in visited:
                visited.add(real)
                kept.append(name)
        folders[:] = kept
        for name in names:
            if _is_hidden(name):
                hidden.append(where / name)
            else:
                yield where / name


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in _COPIES


def _refuse(error: OSError) -> NoReturn:
    raise UsageError(f"the folder {error.filename} cannot be read: {error.strerror}") from error
