"""Feature files of the Hidden Markov Model Toolkit (HTK)."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from zoo.plugin import UsageError

_HEADER = struct.Struct(">iihh")
_COMPRESSED, _CHECKSUM = 0o2000, 0o10000


def read_htk(path: Path) -> tuple[np.ndarray, float]:
    """Features of a sound.

    Source: The HTK Book, section 5.10.1: a header of 12 bytes, big-endian (frames, frame period
    in units of 100 ns, bytes a frame, kind), then the frames as 32-bit floats.

    Args:
        path: The file.

    Returns:
        float32 (frames, features), and the frame period in seconds.

    Raises:
        UsageError: the file is unreadable, is not of this kind, is cut short or compressed.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror or error})") from error
    if len(content) < _HEADER.size:
        raise UsageError(f"{path} has {len(content)} bytes; an HTK file has a header of 12")
    frames, period, width, kind = _HEADER.unpack_from(content)
    if kind & (_COMPRESSED | _CHECKSUM):
        raise UsageError(f"{path} is a compressed HTK file; write it without compression")
    if frames < 1 or period < 1 or width < 4 or width % 4:
        raise UsageError(f"{path} is no HTK feature file: its header makes no sense")
    if len(content) != _HEADER.size + frames * width:
        raise UsageError(
            f"{path} has {len(content)} bytes, and {frames} frames of {width} bytes make "
            f"{_HEADER.size + frames * width}"
        )
    values = np.frombuffer(content, ">f4", offset=_HEADER.size).reshape(frames, width // 4)
    if not np.isfinite(values).all():
        raise UsageError(f"{path} holds values that are not numbers")
    return values.astype(np.float32), period * 1e-7
