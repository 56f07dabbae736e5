"""TIFF stacks of 8-bit gray slices."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from zoo.plugin import UsageError
from zoo_segmentation.memory import format_shape, require_memory

SUFFIXES = (".tif", ".tiff")
AGAIN = "copy or export it again"
MIN_IS_WHITE, PALETTE = 0, 3
"""Of the tag PhotometricInterpretation."""
SLICES = "ZIQ"
"""Axes, by their letters in tifffile, of slices: named so, or pages of which nothing is said."""
NAMES = {"Z": "slices", "I": "pages", "Q": "pages", "C": "channels", "T": "times", "S": "samples"}
WRITTEN_SIMPLY = ("shaped", "generic", "uniform")
"""Kinds of files in which pages written one by one are one stack."""
MOST_PACKED = {1: 1, 5: 2560, 8: 1032, 32946: 1032, 32773: 64}
"""Bytes that one may become, by the tag Compression: none, LZW, Deflate, PackBits."""


def read_stack(path: str | Path) -> np.ndarray:
    """Read all slices of a stack of one channel.

    Returns:
        uint8 (D, H, W); D is 1 for a single image.

    Raises:
        UsageError: as of `read_channel_stack`, or there are several channels.
    """
    stack = read_channel_stack(path)
    if len(stack) != 1:
        raise UsageError(
            f"{path} has the axes channels {len(stack)} x slices {stack.shape[1]} x "
            f"{format_shape(stack.shape[2:])}; one channel is needed: save it as a stack of its own"
        )
    only: np.ndarray = stack[0]
    return only


def read_channel_stack(path: str | Path) -> np.ndarray:
    """Read all slices of a stack, by the axes that its metadata (ImageJ's, OME's) name.

    Values of min-is-white are inverted, so that bright is always large.

    Returns:
        uint8 (C, D, H, W); D is 1 for a single image.

    Raises:
        UsageError: the file is missing, empty, damaged, not 8-bit gray, claims more than it can
            hold, its slices differ in size, or it has axes other than channels and slices.
    """
    path = Path(path)
    try:
        if path.is_file() and path.stat().st_size == 0:
            raise UsageError(f"{path} is an empty file; {AGAIN}")
        with _complaints() as complaints, tifffile.TiffFile(path) as file:
            pages = [page.aspage() for page in file.pages]
            _check_pages(path, pages)
            axes, shape, series = _axes(path, file)
            _check_size(path, pages, shape)
            values = _read(pages, series).reshape(shape)
        if complaints:
            raise UsageError(f"{path} is damaged or cut short ({complaints[0]}); {AGAIN}")
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {path}") from error
    except (tifffile.TiffFileError, ValueError, RuntimeError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{path} is not a readable TIFF file ({reason}); {AGAIN}") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); {AGAIN}") from error
    if pages[0].photometric == MIN_IS_WHITE:
        values = 255 - values
    return _in_order(values, axes)


def _check_pages(path: Path, pages: Sequence[Any]) -> None:
    sizes = {page.shape for page in pages}
    kinds = {page.dtype for page in pages}
    if kinds != {np.dtype(np.uint8)}:
        found = ", ".join(sorted(str(kind) for kind in kinds))
        raise UsageError(
            f"{path} holds {found} values and has to hold 8-bit ones (uint8); convert it"
        )
    if len(sizes) != 1:
        raise UsageError(f"{path} holds slices of {len(sizes)} sizes; they have to agree")
    shape = sizes.pop()
    if "S" in pages[0].axes or len(shape) < 2 or 0 in shape:
        raise UsageError(
            f"{path} holds slices of {format_shape(shape)} values; they have to be gray, with one "
            "value a pixel"
        )
    meanings = {int(page.photometric) for page in pages}
    if PALETTE in meanings:
        raise UsageError(
            f"{path} holds numbers of a palette of colors; they have to be gray values: convert "
            "it, such as by Image > Type > 8-bit in ImageJ"
        )
    if len(meanings) > 1:
        raise UsageError(
            f"{path} holds slices in which 0 is white and others in which it is black; convert it"
        )


def _axes(path: Path, file: tifffile.TiffFile) -> tuple[str, tuple[int, ...], Any]:
    """The axes of all slices, their lengths, and the series to read; None to read the pages.

    Raises:
        UsageError: there are axes other than channels and slices, or none can be told.
    """
    series = file.series
    pages = len(file.pages)
    if len(series) == 1:
        axes, shape, chosen = str(series[0].axes), tuple(series[0].shape), series[0]
    elif all(one.kind in WRITTEN_SIMPLY for one in series):
        axes, shape, chosen = "I" + file.pages[0].axes, (pages, *file.pages[0].shape), None
    else:
        raise UsageError(
            f"{path} holds {len(series)} images of their own; save the one you mean by itself"
        )
    if chosen is not None and any(page is None for page in chosen.pages):
        raise UsageError(
            f"{path} is one file of several that are one image, and lacks the others' slices; "
            "save it as one file"
        )
    kept = [(a, n) for a, n in zip(axes, shape, strict=True) if n > 1 or a in "YX"]
    letters = "".join(axis for axis, _ in kept)
    slices = [axis for axis in letters if axis in SLICES]
    if set(letters) - set(f"C{SLICES}YX") or len(slices) > 1 or letters[-2:] != "YX":
        named = " x ".join(f"{_name(axis)} {length}" for axis, length in kept)
        raise UsageError(
            f"{path} has the axes {named}; a stack has slices, and channels where the model takes "
            "several: save the part that you mean by itself, such as by Image > Duplicate in ImageJ"
        )
    _compare_with_imagej(path, file, pages)
    return letters, tuple(length for _, length in kept), chosen


def _compare_with_imagej(path: Path, file: tifffile.TiffFile, pages: int) -> None:
    """Refuse an ImageJ description that tifffile had to leave aside as it does not fit."""
    about = file.imagej_metadata or {}
    counts = {name: int(about.get(name, 1)) for name in ("channels", "frames")}
    if file.series[0].kind != "imagej" and math.prod(counts.values()) > 1:
        raise UsageError(
            f"{path} has {pages} pages, and its description speaks of {counts['channels']} "
            f"channels and {counts['frames']} times; save it again in ImageJ"
        )


def _check_size(path: Path, pages: Sequence[Any], shape: Sequence[int]) -> None:
    """Refuse sizes that the file or this machine cannot hold, before any of it is taken."""
    claimed = math.prod(shape)
    there = path.stat().st_size
    most = MOST_PACKED.get(int(pages[0].compression))
    if most is not None and claimed > most * there:
        raise UsageError(
            f"{path} is not a readable TIFF file: it is damaged or cut short, as it claims "
            f"{format_shape(shape)} values and has {there:,} bytes; {AGAIN}"
        )
    require_memory(4 * claimed, f"{path}: its {format_shape(shape)} values", "crop it")


def _read(pages: Sequence[Any], series: Any) -> np.ndarray:
    values: np.ndarray = (
        np.stack([page.asarray() for page in pages]) if series is None else series.asarray()
    )
    return values


def _in_order(values: np.ndarray, axes: str) -> np.ndarray:
    """As (C, D, H, W), whichever of these there are and in whatever order."""
    slices = next((axis for axis in axes if axis in SLICES), "")
    order = [axes.index(axis) for axis in ("C", slices, "Y", "X") if axis and axis in axes]
    values = values.transpose(order)
    missing = [number for number, axis in enumerate(("C", slices)) if not axis or axis not in axes]
    return np.expand_dims(values, tuple(missing))


def _name(axis: str) -> str:
    return NAMES.get(axis) or str(tifffile.TIFF.AXES_NAMES.get(axis, axis))


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """What tifffile logs as errors and otherwise passes over, such as missing pages."""
    found: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(" ".join(record.getMessage().split()))

    handler, log = Collect(logging.ERROR), logging.getLogger("tifffile")
    log.addHandler(handler)
    try:
        yield found
    finally:
        log.removeHandler(handler)


def write_stack(path: Path, array: np.ndarray) -> None:
    """Write (D, H, W), or (D, K, H, W) with K channels, of uint8 or float32, compressed.

    Args:
        path: Its folder is made.
        array: One page each (H, W).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, compression="zlib", photometric="minisblack")
