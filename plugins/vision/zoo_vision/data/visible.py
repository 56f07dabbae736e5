"""The files and folders of a user that count: no hidden ones, no thumbnails, no link twice."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from zoo.plugin import UsageError

_OF_SYSTEMS = {
    "__macosx",
    "__pycache__",
    "@eadir",
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "lost+found",
    "system volume information",
    "thumbnail",
    "thumbnails",
}
"""Folders that file managers, editors and storage systems make."""
_FILES_OF_SYSTEMS = {"thumbs.db", "desktop.ini", "icon\r"}


def is_hidden(name: str) -> bool:
    """Whether a file or folder is one that no user put there: hidden, or a system's."""
    return name.startswith(".") or name.lower() in _OF_SYSTEMS


def visible_folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted.

    Raises:
        UsageError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            found = sorted(
                each.name for each in entries if not is_hidden(each.name) and _leads(each)
            )
    except OSError as error:
        raise _unreadable(error, folder) from error
    return [folder / name for name in found]


def _leads(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder, or a link to one; only links are looked up once more."""
    if entry.is_symlink():
        return os.path.isdir(entry.path)
    return entry.is_dir(follow_symlinks=False)


def visible_files(folder: Path, suffixes: set[str]) -> list[Path]:
    """The files in a folder itself that have one of the suffixes, sorted.

    Raises:
        UsageError: the folder cannot be read.
    """
    return [
        path
        for path in _inside(folder)
        if not is_hidden(path.name) and path.suffix.lower() in suffixes and not path.is_dir()
    ]


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise _unreadable(error, folder) from error


def _unreadable(error: OSError, folder: Path) -> UsageError:
    where = error.filename or folder
    return UsageError(f"{where} cannot be read: {error.strerror}; change its permissions")


class Walk:
    """Finds the image files below folders, and counts what it leaves out.

    Links are followed, but not to a folder above or one that has been visited: no file is found
    twice.

    Args:
        suffixes: Of the files that are wanted, in lower case, with the dot.
    """

    def __init__(self, suffixes: set[str]) -> None:
        self.suffixes = suffixes
        self.hidden: Counter[str] = Counter()
        """Names of the hidden folders that were left out, with how often."""
        self.links: list[str] = []
        """Links that were not followed."""
        self.others: Counter[str] = Counter()
        """Suffixes of the files that were left out, with how often."""

    def files(self, folder: Path) -> list[str]:
        """The image files below a folder, sorted.

        Raises:
            UsageError: a folder cannot be read.
        """
        return sorted(self._below(folder))

    def any(self, folder: Path) -> bool:
        """Whether there is an image file below a folder."""
        before = self.hidden.copy(), self.links.copy(), self.others.copy()
        found = next(self._below(folder), None) is not None
        self.hidden, self.links, self.others = before  # what is only looked at is not left out
        return found

    def _below(self, folder: Path) -> Iterator[str]:
        real = folder.resolve()
        visited = {real, *real.parents}

        def refuse(error: OSError) -> None:
            raise _unreadable(error, folder) from error

        for where, folders, files in os.walk(folder, followlinks=True, onerror=refuse):
            folders[:] = sorted(name for name in folders if self._enters(where, name, visited))
            for name in files:
                if is_hidden(name):
                    continue
                suffix = os.path.splitext(name)[1].lower()
                if suffix in self.suffixes:
                    yield os.path.join(where, name)
                elif name.lower() not in _FILES_OF_SYSTEMS:
                    self.others[suffix.rstrip(".") or "without a suffix"] += 1

    def _enters(self, where: str, name: str, visited: set[Path]) -> bool:
        if is_hidden(name):
            self.hidden[name] += 1
            return False
        path = Path(where, name)
        real = path.resolve()
        if real in visited:
            self.links.append(str(path))
            return False
        visited.add(real)
        return True

    def notes(self) -> list[str]:
        """What was left out, in sentences."""
        found = []
        for what, counts in (
            ("hidden folders and thumbnails", self.hidden),
            ("files of kinds that are not read as images", self.others),
        ):
            if counts:
                names = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))
                found.append(f"{what} are left out: {names}")
        if self.links:
            more = f" and {len(self.links) - 3} more" if len(self.links) > 3 else ""
            found.append(
                "links to folders above or to folders that are read already are not followed: "
                f"{', '.join(self.links[:3])}{more}"
            )
        return found
