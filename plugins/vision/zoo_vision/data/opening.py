"""Opening image files: their headers are compared with the files before any pixel takes memory.

A header of a few bytes may announce gigabytes. What the coding of a format cannot hold in a file of
that size is refused; Pillow's own limit on the number of pixels applies as well.
"""

from __future__ import annotations

import os
import re
import struct
import warnings
import zlib
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile

from PIL import Image, TiffImagePlugin

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
    MemoryError,
    struct.error,
    zlib.error,
    BadZipFile,
    Image.DecompressionBombError,
)
"""What Pillow's decoders and zipfile are known to raise on damaged files."""

_NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
"""Formats that Pillow recognizes but leaves to other programs, some of which run what they read."""

DEFLATE = 1032
"""Bytes that one byte of a deflate stream holds, at most."""
_PIXELS_A_BYTE = 1100
"""More than any picture has in the formats whose coding has no such bound."""
_SMALL = 2**24
"""Pixels that are decoded whatever the file's size, in those formats."""
DEEP_COLOR = re.compile(r"^(RGB|RGBA|RGBX|LA|CMYK);16[BLN]$")
"""Pillow's names for stored pixels of several channels of 16 bits."""
_BITS = {"1": 1, "L": 8, "P": 8, "I;16": 16, "RGB": 24, "RGBA": 32, "CMYK": 32, "I": 32, "F": 32}


class LyingHeaderError(ValueError):
    """A file announces more than it can hold."""


class MisreadError(ValueError):
    """Pillow would read a file, and not as it is meant."""


def formats() -> list[str]:
    """Names of the formats that are read."""
    Image.init()
    return [name for name in Image.OPEN if name not in _NOT_DECODED]


def suffixes() -> set[str]:
    """File name suffixes of those formats, in lower case, with the dot."""
    known = set(formats())
    return {suffix for suffix, name in Image.registered_extensions().items() if name in known}


def open_image(source: str | Path | BinaryIO) -> Image.Image:
    """``PIL.Image.open`` for files of strangers: reads the header alone.

    Args:
        source: A path or an open binary file.

    Raises:
        LyingHeaderError: the header announces more than a file of that size can hold.
        MisreadError: Pillow would take its values for others.
        OSError: it is not an image that Pillow reads; and what else Pillow raises.
    """
    # Pillow warns of large pictures; those that a file cannot hold are refused here.
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    available = _length(source)
    _check_webp(_first_bytes(source, 30), available)
    try:
        image = Image.open(source, formats=formats())
    except Image.UnidentifiedImageError as error:
        if reason := _unread_tiff(source):
            raise Image.UnidentifiedImageError(reason) from error
        raise
    try:
        _check(image, available)
        if image.format == "TIFF":
            _check_tiff(image)
    except (LyingHeaderError, MisreadError):
        image.close()
        raise
    return image


def has_pages(image: Image.Image) -> bool:
    """Whether it is a TIFF file of several pages."""
    return image.format == "TIFF" and bool(getattr(image, "is_animated", False))


def cause(error: BaseException) -> str:
    """What is wrong with an image file, from what opening or decoding it raised."""
    text = " ".join(str(error).split())
    if isinstance(error, Image.UnidentifiedImageError) and text.startswith("cannot identify"):
        # Pillow's message repeats the path or a buffer's address.
        return "no known image format"
    if isinstance(error, Image.DecompressionBombError):
        return f"it announces more than the {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels allowed"
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    return text or type(error).__name__


def _length(source: str | Path | BinaryIO) -> int:
    if isinstance(source, (str, Path)):
        return os.stat(source).st_size
    place = source.tell()
    length = source.seek(0, os.SEEK_END)
    source.seek(place)
    return length


def _first_bytes(source: str | Path | BinaryIO, count: int) -> bytes:
    if isinstance(source, (str, Path)):
        with open(source, "rb") as stream:
            return stream.read(count)
    place = source.tell()
    content = source.read(count)
    source.seek(place)
    return content


def _check(image: Image.Image, available: int) -> None:
    width, height = image.size
    bits = _bits(image)
    wanted = height * (-(-width * bits // 8))
    coding = {tile[0] for tile in getattr(image, "tile", [])}
    if image.format in ("PPM", "BMP", "TIFF", "TGA") and coding == {"raw"}:
        lies = wanted > available
    elif image.format == "PNG" or _is_deflated(image):
        lies = wanted > DEFLATE * available
    else:
        lies = (
            image.mode != "1"
            and width * height > _SMALL
            and width * height > _PIXELS_A_BYTE * available
        )
    if lies:
        raise _lie(width, height, available)


def _check_tiff(image: Image.Image) -> None:
    tags = getattr(image, "tag_v2", {})
    bits, samples = tags.get(258, (1,)), tags.get(277, 1)
    if tags.get(284) == 2 and max(bits) > 8 and {tile[0] for tile in image.tile} == {"raw"}:  # type: ignore[attr-defined]
        what = f"{bits[0]}-bit channels in planes of their own"
    elif image.mode == "L" and tags.get(339, (1,))[0] == 2:
        what = "signed 8-bit values"
    elif image.mode == "L" and samples > 1:
        what = f"{samples} channels, of which it is not known what they are"
    else:
        return
    raise MisreadError(f"a TIFF file of {what}: save it as gray or RGB, with 8 or 16 bits")


def _lie(width: int, height: int, available: int) -> LyingHeaderError:
    return LyingHeaderError(
        f"it announces {width}x{height} pixels, which its {available:,} bytes cannot hold"
    )


def _bits(image: Image.Image) -> int:
    """Bits of a pixel in the file, or fewer."""
    raw = raw_mode(image)
    if DEEP_COLOR.search(raw):
        return 16 * len(image.getbands())
    # Such as L;4 and I;12, or BGR;15 for a whole pixel.
    packed = re.search(r";(\d+)", raw)
    if packed:
        return int(packed[1])
    return 1 if raw == "1" else _BITS.get(image.mode, 8)


def raw_mode(image: Image.Image) -> str:
    """Pillow's name for the layout of the stored pixels; empty where it has none."""
    tiles = getattr(image, "tile", [])
    arguments = tiles[0][3] if tiles else ""
    first = arguments if isinstance(arguments, str) else (arguments or ("",))[0]
    return str(first)


def _is_deflated(image: Image.Image) -> bool:
    return image.format == "TIFF" and image.info.get("compression") in (
        "tiff_adobe_deflate",
        "tiff_deflate",
    )


def _check_webp(first: bytes, available: int) -> None:
    """Pillow reserves memory for a WebP canvas while it opens the file."""
    if len(first) < 30 or first[:4] != b"RIFF" or first[8:12] != b"WEBP":
        return
    kind = first[12:16]
    if kind == b"VP8X":
        width = 1 + int.from_bytes(first[24:27], "little")
        height = 1 + int.from_bytes(first[27:30], "little")
    elif kind == b"VP8L":
        packed = int.from_bytes(first[21:25], "little")
        width, height = 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    else:
        width, height = (int.from_bytes(first[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    if width * height > max(_SMALL, _PIXELS_A_BYTE * available):
        raise _lie(width, height, available)


def _unread_tiff(source: str | Path | BinaryIO) -> str:
    """Why Pillow does not read a TIFF file; empty for other files and where it is not known."""
    try:
        if not isinstance(source, (str, Path)):
            source.seek(0)  # Pillow has read of it
        first = _first_bytes(source, 8)
        if first[:4] not in (b"II*\0", b"MM\0*"):
            return ""
        directory = TiffImagePlugin.ImageFileDirectory_v2(first)
        stream = open(source, "rb") if isinstance(source, (str, Path)) else source  # noqa: SIM115
        try:
            stream.seek(directory.next)
            directory.load(stream)
        finally:
            if stream is not source:
                stream.close()
        bits = directory.get(258, (1,))
        kind = {2: "signed integers", 3: "floating-point numbers"}.get(
            directory.get(339, (1,))[0], "unsigned integers"
        )
    except Exception:  # noqa: BLE001  # damaged in a way of its own: not known
        return ""
    channels = f"{len(bits)} channel{'s' if len(bits) > 1 else ''}"
    return (
        f"a TIFF file of {channels} of {bits[0]}-bit {kind}, which Pillow does not read: save it "
        "with 8 or 16 bits"
    )
