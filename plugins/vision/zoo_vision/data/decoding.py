"""From an image file to uint8 pixels: the one way in which training and prediction read files."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, TypeVar
from zipfile import BadZipFile

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from zoo.plugin import UsageError

UNDECODABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    RuntimeError,
    struct.error,
    zlib.error,
    BadZipFile,
    Image.DecompressionBombError,
)
"""What Pillow's decoders and zipfile are known to raise on damaged files."""

_NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
"""Formats that Pillow recognizes but leaves to other programs, some of which run what they read."""

T = TypeVar("T")


def formats() -> list[str]:
    """Names of the formats that are read."""
    Image.init()
    return [name for name in Image.OPEN if name not in _NOT_DECODED]


def suffixes() -> set[str]:
    """File name suffixes of those formats, in lower case, with the dot."""
    known = set(formats())
    return {suffix for suffix, name in Image.registered_extensions().items() if name in known}


def read_image(path: str | Path, channels: int, size: Sequence[int]) -> Tensor:
    """Read one image file the way every dataset of this plugin does.

    The image is turned upright (EXIF orientation), laid on white where it is transparent,
    brought to 8 bits and to gray or RGB, scaled to cover ``size`` and cropped to it at the
    center. Of an animation the first frame is taken.

    Args:
        path: Any image file Pillow reads.
        channels: 1 for gray, 3 for RGB.
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


def decode(
    source: str | Path | BinaryIO,
    channels: int,
    size: Sequence[int],
    box: tuple[int, int, int, int] | None = None,
) -> np.ndarray:
    """`read_image` for paths and open files, as a uint8 array, raising what Pillow raises.

    Args:
        source: A path or an open binary file.
        channels: 1 for gray, 3 for RGB.
        size: Height and width in pixels.
        box: Left, upper, right and lower edge of the part to use, in the file's pixels.
    """
    height, width = size
    with Image.open(source, formats=formats()) as image:
        if box is None:
            # A JPEG decodes several times faster at a reduced size; twice the wanted one keeps
            # the final, antialiased step in charge. Other formats ignore this.
            image.draft(None, (2 * max(size), 2 * max(size)))
        part = image if box is None else image.crop(box)
        upright = _eight_bits(ImageOps.exif_transpose(part), channels)
        fitted = ImageOps.fit(upright, (width, height), Image.Resampling.BILINEAR)
    pixels = np.array(fitted, dtype=np.uint8)
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def decode_all(
    files: Mapping[str, Callable[[], np.ndarray]], channels: int, size: Sequence[int]
) -> np.ndarray:
    """Decode many files on all cores; Pillow's decoders release the GIL.

    Args:
        files: For each path, as it is to be shown to a user, a call of `decode`.
        channels: As in `decode`.
        size: As in `decode`.

    Returns:
        uint8 (N, channels, height, width), in the order of ``files``.

    Raises:
        UsageError: some files do not decode; they are named and counted.
    """
    pixels = np.empty((len(files), channels, *size), dtype=np.uint8)

    def fill(item: tuple[int, Callable[[], np.ndarray]]) -> None:
        pixels[item[0]] = item[1]()

    attempt_all(fill, dict(zip(files, enumerate(files.values()), strict=True)))
    return pixels


def attempt_all(function: Callable[[T], object], files: Mapping[str, T]) -> None:
    """Call ``function`` on every value, on all cores.

    Args:
        function: Decodes one file, raising what Pillow raises.
        files: Path, as it is to be shown to a user, to the argument of ``function``.

    Raises:
        UsageError: some files do not decode: the first few are named and all are counted.
    """

    def attempt(item: T) -> Exception | None:
        try:
            function(item)
        except UNDECODABLE as error:
            return error
        return None

    with ThreadPoolExecutor(min(32, os.cpu_count() or 1)) as pool:
        outcomes = zip(files, pool.map(attempt, files.values()), strict=True)
        failures = [(path, error) for path, error in outcomes if error is not None]
    if failures:
        shown = "; ".join(f"{path} ({_cause(error)})" for path, error in failures[:5])
        more = f"; and {len(failures) - 5} more" if len(failures) > 5 else ""
        raise UsageError(
            f"{len(failures)} of {len(files)} image files do not decode: {shown}{more}; "
            "replace or remove them"
        )


def check_decodes(path: str | Path) -> None:
    """Decode every pixel, a JPEG at an eighth of its size, raising what Pillow raises."""
    with Image.open(path, formats=formats()) as image:
        image.draft(None, (1, 1))
        image.load()


def check_opens(path: str | Path) -> None:
    """Read the header alone, raising what Pillow raises."""
    with Image.open(path, formats=formats()):
        return


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


def _cause(error: BaseException) -> str:
    # Pillow's message on an unknown format repeats the path or a buffer's address.
    if isinstance(error, Image.UnidentifiedImageError):
        return "no known image format"
    return str(error) or type(error).__name__
