"""From an image file to uint8 pixels: the one way in which training and prediction read files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from zoo.plugin import UsageError
from zoo_vision.data.opening import UNDECODABLE, cause, has_pages, open_image, raw_mode
from zoo_vision.data.pixel_range import (
    COLORS,
    Extent,
    RangeSource,
    eight_bits,
    is_deep_color,
    stored_kind,
    white_is_zero,
)
from zoo_vision.data.sources import FILES, Sources

_SIXTEEN_BITS = (0.0, 65535.0)
_OTHER_BYTE = (
    {"16B": "16L", "16L": "16B", "16N": "16B"}
    if sys.byteorder == "little"
    else {"16B": "16L", "16L": "16B", "16N": "16L"}
)

T = TypeVar("T")
R = TypeVar("R")
Box = tuple[int, int, int, int]


def read_image(
    path: str | Path,
    channels: int,
    size: Sequence[int],
    ranges: RangeSource | None = None,
    sources: Sources = FILES,
) -> Tensor:
    """Read one image file the way every dataset of this plugin does.

    The image is turned upright (EXIF orientation), laid on white where it is transparent,
    brought to 8 bits and to gray or RGB, scaled to cover ``size`` and cropped to it at the
    center. Of an animation the first frame is taken.

    Args:
        path: Any image file Pillow reads.
        channels: 1 for gray, 3 for RGB.
        size: Height and width in pixels.
        ranges: What is black and what is white in files of more than 8 bits. Without, the file
            is taken for all there is: its largest value decides.
        sources: Opens the file.

    Returns:
        uint8 (channels, height, width).

    Raises:
        UsageError: the file is missing, does not decode, or has values outside its range.
    """
    return read_noted(path, channels, size, ranges, sources)[0]


def read_noted(
    path: str | Path,
    channels: int,
    size: Sequence[int],
    ranges: RangeSource | None = None,
    sources: Sources = FILES,
) -> tuple[Tensor, str]:
    """`read_image`, and what has to be told of the image; nothing as a rule."""
    try:
        with sources.open(path) as stream:
            pixels, note = _decode(stream, channels, size, None, ranges)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; give the path of an image") from None
    except UNDECODABLE as error:
        raise UsageError(
            f"{path} does not decode as an image ({cause(error)}); replace or remove it"
        ) from error
    return torch.from_numpy(pixels), f"{path}: {note}" if note else ""


def decode(
    source: str | Path | BinaryIO,
    channels: int,
    size: Sequence[int],
    box: Box | None = None,
    ranges: RangeSource | None = None,
) -> np.ndarray:
    """`read_image` for paths and open files, as a uint8 array, raising what Pillow raises.

    Args:
        source: A path or an open binary file.
        channels: 1 for gray, 3 for RGB.
        size: Height and width in pixels.
        box: Left, upper, right and lower edge of the part to use, in the file's pixels.
        ranges: As in `read_image`.
    """
    return _decode(source, channels, size, box, ranges)[0]


def _decode(
    source: str | Path | BinaryIO,
    channels: int,
    size: Sequence[int],
    box: Box | None,
    ranges: RangeSource | None,
) -> tuple[np.ndarray, str]:
    with open_image(source) as image:
        if box is None:
            _draft(image, size)
        pages = has_pages(image)
        bright, note = _in_eight_bits(image, source, box, ranges)
        fitted = _fitted(bright, channels, size)
    if pages and not note:
        note = "of its pages the first is read"
    return fitted, note


def _draft(image: Image.Image, size: Sequence[int]) -> None:
    """Let a JPEG decode at a reduced size, several times faster: twice the wanted one keeps the
    final, antialiased step in charge. Other formats ignore this."""
    image.draft(None, (2 * max(size), 2 * max(size)))


def _fitted(image: Image.Image, channels: int, size: Sequence[int]) -> np.ndarray:
    """An image of 8 bits at its final size: uint8 (channels, height, width)."""
    height, width = size
    fitted = ImageOps.fit(_flat(image, channels), (width, height), Image.Resampling.BILINEAR)
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


def attempt_all(function: Callable[[T], R], files: Mapping[str, T]) -> list[R]:
    """Call ``function`` on every value, on all cores.

    Args:
        function: Decodes one file, raising what Pillow raises.
        files: Path, as it is to be shown to a user, to the argument of ``function``.

    Returns:
        What ``function`` returned, in the order of ``files``.

    Raises:
        UsageError: some files do not decode: the first few are named and all are counted.
    """

    outcomes = _outcomes(function, list(files.values()))
    _require_decoded(dict(zip(files, outcomes, strict=True)))
    return [result for result, _ in outcomes]  # type: ignore[misc]


_CHUNK = 16
"""Files that a thread takes at once: to hand one over costs as much as to decode a small one."""


def on_all_cores(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """What a function returns for each item, in their order; Pillow's decoders release the GIL."""
    chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]

    def all_of(chunk: Sequence[T]) -> list[R]:
        return [function(item) for item in chunk]

    with ThreadPoolExecutor(min(32, os.cpu_count() or 1)) as pool:
        return [result for part in pool.map(all_of, chunks) for result in part]


Outcome = tuple[R | None, Exception | None]


def _outcomes(function: Callable[[T], R], items: Sequence[T]) -> list[Outcome[R]]:
    def attempt(item: T) -> Outcome[R]:
        try:
            return function(item), None
        except UNDECODABLE as error:
            return None, error

    return on_all_cores(attempt, items)


def _require_decoded(outcomes: Mapping[str, Outcome[Any]]) -> None:
    failures = [(path, error) for path, (_, error) in outcomes.items() if error is not None]
    if not failures:
        return
    shown = "; ".join(f"{path} ({cause(error)})" for path, error in failures[:5])
    more = f"; and {len(failures) - 5} more" if len(failures) > 5 else ""
    raise UsageError(
        f"{len(failures)} of {len(outcomes)} image files do not decode: {shown}{more}; "
        "replace or remove them"
    )


@dataclass(frozen=True)
class Inspection:
    """What is known of a file without bringing it to its final size.

    Args:
        extent: Of the stored values; None where they have 8 bits or fewer.
        constant: Whether all its pixels are equal; None where that was not looked at.
        pages: Whether it is a TIFF file of several pages.
    """

    extent: Extent | None
    constant: bool | None
    pages: bool


def decode_folder(
    paths: Sequence[str],
    channels: int,
    size: Sequence[int],
    sources: Sources,
    decide: Callable[[Sequence[Inspection | None]], dict[str, list[float]]],
) -> tuple[np.ndarray, list[Inspection | None], dict[str, list[float]]]:
    """Decode all files of a folder, each opened once; those of more than 8 bits twice, since all
    of them together say what is black and what is white.

    Args:
        paths: The files.
        channels: As in `decode`.
        size: As in `decode`.
        sources: Opens them.
        decide: Makes the ranges of what is known of each file; None of those that do not decode.

    Returns:
        uint8 (N, channels, height, width), what is known of each file, and the ranges.

    Raises:
        UsageError: some files do not decode; they are named and counted.
    """
    pixels = np.empty((len(paths), channels, *size), dtype=np.uint8)

    def first(place: int) -> Inspection:
        with sources.open(paths[place]) as stream, open_image(stream) as image:
            found = Inspection(None, None, has_pages(image))
            if stored_kind(image) is None:
                _draft(image, size)
                pixels[place] = _fitted(_upright(image, None), channels, size)
                return found
        return inspect(paths[place], whole=False, sources=sources)

    def second(place: int) -> Inspection | None:
        with sources.open(paths[place]) as stream:
            pixels[place] = decode(stream, channels, size, None, ranges)
        return looks[place]

    outcomes = _outcomes(first, range(len(paths)))
    looks = [found for found, _ in outcomes]
    ranges = decide(looks)
    deep = [place for place, found in enumerate(looks) if found and found.extent]
    for place, outcome in zip(deep, _outcomes(second, deep), strict=True):
        outcomes[place] = outcome
    _require_decoded(dict(zip(paths, outcomes, strict=True)))
    return pixels, looks, ranges


def inspect(path: str | Path, whole: bool, sources: Sources = FILES) -> Inspection:
    """Look at a file, raising what Pillow raises.

    Args:
        path: The file.
        whole: Decode every pixel, a JPEG at an eighth of its size. Files of more than 8 bits are
            decoded in any case, of others the header alone is read without.
        sources: Opens it.
    """
    with sources.open(path) as stream, open_image(stream) as image:
        kind, pages = stored_kind(image), has_pages(image)
        if kind is None and not whole:
            return Inspection(None, None, pages)
        image.draft(None, (1, 1))
        colors = COLORS.get(image.mode) if is_deep_color(image) else None
        bands = np.asarray(image).reshape(image.height * image.width, -1)
        constant = bool((bands == bands[0]).all())
        if kind is None:
            return Inspection(None, constant, pages)
        if colors:
            return Inspection(_bounds(kind, bands[:, :colors]), constant, pages)
        return Inspection(Extent.of(kind, bands), constant, pages)


def _in_eight_bits(
    image: Image.Image, source: str | Path | BinaryIO, box: Box | None, ranges: RangeSource | None
) -> tuple[Image.Image, str]:
    """The image upright and in 8 bits a channel, and what has to be told of it."""
    kind, inverted = stored_kind(image), white_is_zero(image)
    if kind is None:
        return _upright(image, box), ""
    if is_deep_color(image):
        return _deep_color(image, source, box, ranges, kind)
    values = np.asarray(_upright(image, box), dtype=np.float64)
    extent = Extent.of(kind, values)
    limits = extent.range_in(ranges)
    gray = Image.fromarray(eight_bits(values, limits, inverted=inverted))
    return gray, "" if inverted else _darkness(extent, limits, ranges)


def _deep_color(
    image: Image.Image,
    source: str | Path | BinaryIO,
    box: Box | None,
    ranges: RangeSource | None,
    kind: str,
) -> tuple[Image.Image, str]:
    upright = _upright(image, box)
    upper = np.asarray(upright)
    colors = upper[..., : COLORS[image.mode]]
    extent = _bounds(kind, colors)
    limits = extent.range_in(ranges)
    note = _darkness(extent, limits, ranges)
    if limits == _SIXTEEN_BITS:  # the upper bytes are the picture
        return upright, note
    values = colors.astype(np.float64) * 256
    lower = _lower_bytes(source, box)
    if lower is not None:
        values += lower[..., : COLORS[image.mode]]
    scaled = eight_bits(values, limits)
    opaque = upper[..., COLORS[image.mode] :]
    return Image.fromarray(np.concatenate([scaled, opaque], axis=-1)), note


def _bounds(kind: str, upper: np.ndarray) -> Extent:
    """The extent of values whose upper bytes alone are known: as large as it can be."""
    return Extent(kind, 256.0 * int(upper.min()), 256.0 * int(upper.max()) + 255)


def _darkness(extent: Extent, limits: Sequence[float], ranges: RangeSource | None) -> str:
    if ranges is None:
        return ""
    if extent.low >= limits[1]:
        return (
            f"all its values, from {extent.low:g} to {extent.high:g}, lie above {limits[1]:g}: it "
            "comes out white"
        )
    if not extent.is_dark_in(limits):
        return ""
    return (
        f"its largest value is {extent.high:g}, where {limits[0]:g} is black and {limits[1]:g} "
        "white: it comes out nearly black"
    )


def _upright(image: Image.Image, box: Box | None) -> Image.Image:
    return ImageOps.exif_transpose(image if box is None else image.crop(box))


def _lower_bytes(source: str | Path | BinaryIO, box: Box | None) -> np.ndarray | None:
    """The lower halves of 16-bit channels, which Pillow drops: read as if the bytes were in the
    other order. None where Pillow has no such reader."""
    if not isinstance(source, (str, Path)):
        source.seek(0)
    with open_image(source) as again:
        name, _, order = raw_mode(again).rpartition(";")
        if order not in _OTHER_BYTE or again.mode == "LA":
            return None
        again.tile = [_with_mode(tile, f"{name};{_OTHER_BYTE[order]}") for tile in again.tile]  # type: ignore[attr-defined]
        return np.asarray(_upright(again, box)).astype(np.float64)


def _with_mode(tile: Any, mode: str) -> Any:
    """A tile, as Pillow calls what it decodes, read by another layout of its pixels."""
    arguments = (mode, *tile[3][1:]) if isinstance(tile[3], tuple) else mode
    changed = (*tile[:3], arguments)
    return type(tile)(*changed) if hasattr(tile, "_fields") else changed


def _flat(image: Image.Image, channels: int) -> Image.Image:
    """Without transparency, gray or RGB."""
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("L" if channels == 1 else "RGB")
