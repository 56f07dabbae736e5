"""How the images of a dataset are opened: as files, or as members of tar files."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO


class Sources:
    """Images that are files, by their paths."""

    def open(self, path: str | Path) -> BinaryIO:
        """The image, open for reading."""
        return open(path, "rb")

    def size(self, path: str) -> int:
        """Its bytes."""
        return os.stat(path).st_size


class TarSources(Sources):
    """Images that are members of tar files.

    Args:
        tars: The tar files, not packed.
        members: Name of an image to the position of its tar file in ``tars``, where its bytes
            begin there, and how many there are.
    """

    def __init__(self, tars: Sequence[str], members: Mapping[str, tuple[int, int, int]]) -> None:
        self._tars = tars
        self._members = members

    def open(self, path: str | Path) -> BinaryIO:
        tar, start, size = self._members[str(path)]
        with open(self._tars[tar], "rb") as stream:
            stream.seek(start)
            return io.BytesIO(stream.read(size))

    def size(self, path: str) -> int:
        return self._members[path][2]


FILES = Sources()
