"""From an image file to uint8 pixels: the one way in which training and prediction read files."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from zoo.errors import UsageError

UNDECODABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    NotImplementedError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow's decoders are known to raise on damaged files."""

T = TypeVar("T")
R = TypeVar("R")


def read_image(path: str | Path, channels: int, size: Sequence[int]) -> Tensor:
    """Read one image file the way every dataset of this plugin does.

    The picture is turned upright (EXIF orientation), laid on white where it is transparent,
    brought to 8 bits and to grey or RGB, scaled to cover ``size`` and cropped to it at the
    centre. Of an animation the first frame is taken.

    Args:
        path: Any image file Pillow reads.
        channels: 1 for grey, 3 for RGB.
        size: Height and width in pixels.

    Returns:
        uint8 (channels, height, width).

    Raises:
        UsageError: the file is missing or does not decode.
    """
    try:
        return torch.from_numpy(decode(path, channels, size))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; give the path of an image") from None
    except UNDECODABLE as error:
        raise UsageError(
            f"{path} does not decode as an image ({_cause(error)}); replace or remove it"
        ) from error


def decode(source: str | Path | BinaryIO, channels: int, size: Sequence[int]) -> np.ndarray:
    """`read_image` for paths and open files, as a uint8 array, raising what Pillow raises."""
    height, width = size
    with Image.open(source) as image:
        # A JPEG decodes several times faster at a reduced size; twice the wanted one keeps
        # the final, antialiased step in charge. Other formats ignore this.
        image.draft(None, (2 * max(size), 2 * max(size)))
        upright = ImageOps.exif_transpose(image)
        fitted = ImageOps.fit(
            _eight_bits(upright, channels), (width, height), Image.Resampling.BILINEAR
        )
    pixels = np.array(fitted, dtype=np.uint8)
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def check_decodes(path: str | Path) -> None:
    """Decode every pixel, a JPEG at an eighth of its size, raising what Pillow raises."""
    with Image.open(path) as image:
        image.draft(None, (1, 1))
        image.load()


def _eight_bits(image: Image.Image, channels: int) -> Image.Image:
    mode = "L" if channels == 1 else "RGB"
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, dtype=np.float64)
        low, high = float(values.min()), float(values.max())
        if image.mode.startswith("I;16") or (image.mode == "I" and high > 255):
            full = 65535.0
        elif image.mode == "F" and high <= 1:
            full = 1.0
        else:
            full = 255.0
        if not (low >= 0 and high <= full):  # also true of NaN
            raise ValueError(f"pixels from {low:g} to {high:g} are in no known range")
        image = Image.fromarray(np.round(values * (255 / full)).astype(np.uint8))
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert(mode)


def in_threads(function: Callable[[T], R], items: Iterable[T], workers: int = 0) -> list[R]:
    """``[function(item) for item in items]`` on all cores; Pillow's decoders release the GIL."""
    with ThreadPoolExecutor(workers or min(32, cpu_count() or 1)) as pool:
        return list(pool.map(function, items))


def refuse_undecodable(failures: Sequence[tuple[str, Exception]], total: int) -> None:
    """Name the first few files that do not decode, and count them all.

    Raises:
        UsageError: there is at least one failure.
    """
    if not failures:
        return
    shown = "; ".join(f"{path} ({_cause(error)})" for path, error in failures[:5])
    more = f"; and {len(failures) - 5} more" if len(failures) > 5 else ""
    raise UsageError(
        f"{len(failures)} of {total} image files do not decode: {shown}{more}; "
        "replace or remove them"
    )


def _cause(error: BaseException) -> str:
    # Pillow's message on an unknown format repeats the path or a buffer's address.
    if isinstance(error, Image.UnidentifiedImageError):
        return "no known image format"
    return str(error) or type(error).__name__
