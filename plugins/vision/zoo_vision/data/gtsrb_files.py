"""The files of the GTSRB, in folders and zips, and the tables among them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zipfile import BadZipFile, ZipFile, ZipInfo

import numpy as np

from zoo.plugin import UsageError
from zoo_vision.data.decoding import Box, decode
from zoo_vision.data.opening import LyingHeaderError
from zoo_vision.data.visible import Walk, is_hidden

HOMEPAGE = "https://benchmark.ini.rub.de/gtsrb_dataset.html"
_SUFFIXES = {".ppm", ".png", ".csv"}
_LARGEST = 2**26
"""Bytes of a member of a zip file, unpacked: hundreds of times the largest picture."""


@dataclass(frozen=True)
class File:
    """A file in a folder or in a zip.

    Args:
        shown: Its name for messages.
        read: Returns its content.
    """

    shown: str
    read: Callable[[], bytes]

    def decode(self, size: int, box: Box | None) -> np.ndarray:
        """Its picture in color, square: uint8 (3, size, size)."""
        return decode(io.BytesIO(self.read()), 3, (size, size), box)


def find_files(root: Path) -> Iterator[tuple[str, File]]:
    """Every picture and table under ``root`` and in the zip files there, by its path with slashes.

    Raises:
        UsageError: there is nothing at ``root``, or a zip file is damaged.
    """
    if root.is_file():
        yield from _members(root)
        return
    if not root.is_dir():
        raise UsageError(
            f"{root} is neither a folder nor a zip file; fetch the images from {HOMEPAGE} "
            "or point --data.root at them"
        )
    for path in sorted(root.glob("*.[zZ][iI][pP]")):
        if not is_hidden(path.name):
            yield from _members(path)
    # What is unpacked comes after, and so takes the place of the same file in a zip.
    for name in Walk(_SUFFIXES).files(root):
        path = Path(name)
        yield path.relative_to(root).as_posix(), File(name, path.read_bytes)


def _members(path: Path) -> Iterator[tuple[str, File]]:
    try:
        archive = ZipFile(path)
    except BadZipFile as error:
        raise UsageError(
            f"{path} is a damaged zip file ({error}); fetch it again from {HOMEPAGE}"
        ) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    for member in archive.infolist():
        if not any(is_hidden(part) for part in member.filename.split("/")):
            yield (
                member.filename,
                File(f"{path}:{member.filename}", partial(_read, archive, member)),
            )


def _read(archive: ZipFile, member: ZipInfo) -> bytes:
    if member.file_size > _LARGEST:
        raise LyingHeaderError(
            f"it announces {member.file_size:,} bytes, more than any picture of these signs has"
        )
    return archive.read(member)


def read_rows(file: File, *columns: str, delimiter: str = ";") -> list[dict[str, str]]:
    """The rows of a table that has these columns.

    Raises:
        UsageError: it cannot be read, or lacks a column.
    """
    try:
        text = file.read().decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
    except (OSError, BadZipFile, ValueError, csv.Error) as error:
        raise UsageError(
            f"{file.shown} cannot be read ({error}); fetch it again from {HOMEPAGE}"
        ) from error
    if not rows or not set(columns) <= set(rows[0]):
        raise UsageError(
            f"{file.shown} lacks the columns {', '.join(columns)}, separated by {delimiter!r}; "
            f"fetch it again from {HOMEPAGE}"
        )
    return rows


def number(row: dict[str, str], column: str, shown: str) -> int:
    """A whole number of a row.

    Raises:
        UsageError: it is none; the table is named as ``shown``.
    """
    try:
        return int(row[column])
    except (KeyError, TypeError, ValueError):
        raise UsageError(
            f"{shown}: {column} of {_image(row)} is {row.get(column)!r} and not a number; "
            f"fetch it again from {HOMEPAGE}"
        ) from None


def box(row: dict[str, str], shown: str) -> Box:
    """The box of the sign: left, upper, right and lower edge.

    Raises:
        UsageError: it is empty, or no numbers; the table is named as ``shown``.
    """
    left, upper, right, lower = (
        number(row, column, shown) for column in ("Roi.X1", "Roi.Y1", "Roi.X2", "Roi.Y2")
    )
    if not (0 <= left < right and 0 <= upper < lower):
        raise UsageError(
            f"{shown}: the box of {_image(row)} is empty; fetch it again from {HOMEPAGE}"
        )
    return left, upper, right, lower


def _image(row: dict[str, str]) -> str:
    return row.get("Filename") or row.get("Path") or "a row"
