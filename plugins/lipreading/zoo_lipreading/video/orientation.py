"""How a decoded frame is to be shown: turned, mirrored, and with which shape of pixels."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import atan2, degrees
from pathlib import Path

import cv2
import numpy as np

from zoo.plugin import UsageError

Turn = Callable[[np.ndarray], np.ndarray]
_NEARLY = 0.01


def turn_of(matrix: bytes | None, path: Path) -> Turn:
    """What brings a picture (H, W) into the position that a display matrix states.

    The matrix takes pixel (x, y) of the picture to (a x + c y, b x + d y) on the display; cameras
    write it when they are held upright or upside down.

    Args:
        matrix: Nine int32 as FFmpeg gives them, a, b, u, c, d, v, x, y, w; None for no turn.
        path: The video.

    Raises:
        UsageError: it is not of a quarter turn, with or without a mirror.
    """
    if matrix is None:
        return lambda picture: picture
    values = np.frombuffer(matrix, "<i4", 9).astype(np.float64)
    a, b, c, d = values[[0, 1, 3, 4]] / max(np.abs(values[[0, 1, 3, 4]]).max(), 1.0)
    steep, level = abs(b) > 0.5, abs(a) > 0.5
    rest = (a, d) if steep else (b, c)
    if steep == level or max(map(abs, rest)) > _NEARLY:
        raise UsageError(
            f"{path} is to be shown turned by {degrees(atan2(b, a)):.0f} degrees; only quarter "
            "turns are read: export it upright"
        )
    across, down = (c, b) if steep else (a, d)

    def turn(picture: np.ndarray) -> np.ndarray:
        turned = picture.T if steep else picture
        turned = turned[:, ::-1] if across < 0 else turned
        turned = turned[::-1] if down < 0 else turned
        return np.ascontiguousarray(turned)

    return turn


def square_pixels(picture: np.ndarray, aspect: Fraction | None) -> np.ndarray:
    """A picture (H, W) whose pixels are wider than high, or the reverse, made as wide as it is
    shown.

    Args:
        picture: uint8.
        aspect: Width by height of a pixel; None or 0 where the file does not say.
    """
    if not aspect or abs(aspect - 1) < _NEARLY:
        return picture
    height, width = picture.shape
    wide = max(1, round(width * aspect))
    way = cv2.INTER_LINEAR if wide > width else cv2.INTER_AREA
    return cv2.resize(picture, (wide, height), interpolation=way)
