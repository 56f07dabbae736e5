"""Zip files, as torch writes them, sealed with a checksum over all of their bytes.

torch does not look at a zip's own checksums when it loads, and those leave the headers out. The
checksum stands in the zip's comment, so that file and checksum are written in one step.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

_MARK = b"crc32:"
_LENGTH = len(_MARK) + 8
_CHUNK = 1 << 24


def write_sealed(content: bytearray | memoryview, file: BinaryIO) -> None:
    """Write a zip that has no comment, with its checksum as the comment.

    Args:
        content: The zip's bytes; changed in place.
        file: Where to write.
    """
    content[-2:] = _LENGTH.to_bytes(2, "little")  # the last field: how long the comment is
    file.write(content)
    file.write(_MARK + b"%08x" % zlib.crc32(content))


def is_whole(path: Path) -> bool:
    """Whether no bit of a sealed zip was changed; a zip without a seal is checked by its own
    checksums, those of the files in it.

    Raises:
        OSError: it cannot be read.
    """
    size = path.stat().st_size - _LENGTH
    with path.open("rb") as file:
        file.seek(max(size, 0))
        seal = file.read()
        if seal.startswith(_MARK):
            file.seek(0)
            return seal[len(_MARK) :] == b"%08x" % _checksum(file, size)
    try:
        with zipfile.ZipFile(path) as archive:
            return not archive.comment and archive.testzip() is None
    except OSError:
        raise
    except Exception:  # noqa: BLE001  # a damaged zip makes zipfile raise errors of many kinds
        return False


def _checksum(file: BinaryIO, size: int) -> int:
    found = 0
    while size > 0 and (chunk := file.read(min(size, _CHUNK))):
        found = zlib.crc32(chunk, found)
        size -= len(chunk)
    return found
