"""NIfTI files as they lie on the disk: opened, compared with what their header claims, read."""

from __future__ import annotations

import contextlib
import gzip
import logging
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.imageglobals import logger as nibabel_log
from nibabel.spatialimages import HeaderDataError
from nibabel.tripwire import TripWireError

from zoo.plugin import UsageError
from zoo_segmentation.data.foreign import foreign_format, wrong_container
from zoo_segmentation.memory import format_shape, require_memory

CHANNELS_AXIS = 3
AGAIN = "copy or export it again"
REST = 1 << 20
"""Bytes that may follow the last voxel."""
MOST_PACKED = 1032
"""Bytes that deflate can make of one."""
OTHER_PACKED = (".bz2", ".zst")
"""Suffixes of compression that nibabel knows too; what it can make of a byte has no bound."""
_DAMAGED = (ImageFileError, HeaderDataError, EOFError, zlib.error, ValueError, OverflowError)


@contextlib.contextmanager
def quiet_nibabel() -> Iterator[None]:
    """While headers are read and made, whose repairs nibabel logs without naming the file. Its own
    suppressor takes the handlers away, and Python's last one prints."""
    before = nibabel_log.level
    nibabel_log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        nibabel_log.setLevel(before)


def open_nifti(path: Path) -> Any:
    """The image, its header read and its voxels not yet.

    Raises:
        UsageError: the file is missing, empty, damaged or of another format, or cannot hold the
            voxels that its header claims.
    """
    try:
        if path.is_file():
            _refuse_foreign(path)
        with quiet_nibabel():
            image: Any = nib.load(path)
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {path}") from error
    except _DAMAGED as error:
        raise UsageError(
            f"{path} is not a readable NIfTI file ({_line(error)}); {AGAIN}"
        ) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({_line(error)}); {AGAIN}") from error
    except (ImportError, TripWireError) as error:
        raise UsageError(
            f"{path} needs a package that is missing ({_line(error)}); install it, or convert the "
            "file to .nii.gz"
        ) from error
    if not isinstance(image, nib.Nifti1Pair):
        raise UsageError(f"{path} is not a NIfTI file, but {type(image).__name__}; convert it")
    _compare_with_header(path, image)
    return image


def load_nifti(path: Path) -> tuple[Any, np.ndarray]:
    """The image and its values, scaled as its header says, along the file's axes.

    Returns:
        The image, and an array (X, Y, Z) or (X, Y, Z, C); trailing axes of length 1 are left out.

    Raises:
        UsageError: as of `open_nifti`, or the voxels are damaged or not of a volume.
    """
    image = open_nifti(path)
    try:
        if path.name.lower().endswith(".gz"):
            image = type(image).from_bytes(_unpack(path, _claimed(image)))
        values = np.asanyarray(image.dataobj)
    except (*_DAMAGED, OSError) as error:
        raise UsageError(f"{path} is damaged or cut short ({_line(error)}); {AGAIN}") from error
    while values.ndim > CHANNELS_AXIS and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim == 5 and values.shape[3] == 1:  # vectors, as NIfTI keeps them
        values = values[:, :, :, 0]
    if values.ndim not in (3, 4) or values.size == 0:
        raise UsageError(
            f"{path} has the axes {format_shape(values.shape)}; a volume has three, and a fourth "
            "for channels, each of length 1 or more"
        )
    if values.dtype.kind not in "fiub":
        raise UsageError(f"{path} holds values of type {values.dtype}; they have to be numbers")
    return image, values


def count_channels(path: str | Path) -> int:
    """How many channels a file has, by its header alone.

    Raises:
        UsageError: as of `open_nifti`.
    """
    return math.prod(open_nifti(Path(path)).shape[CHANNELS_AXIS:])


def _refuse_foreign(path: Path) -> None:
    if path.stat().st_size == 0:
        raise UsageError(f"{path} is an empty file; {AGAIN}")
    if kind := foreign_format(path):
        raise UsageError(f"{path} is not a NIfTI file, but {kind}")
    if wrong := wrong_container(path):
        raise UsageError(f"{path} is not a readable NIfTI file: it {wrong}")


def _claimed(image: Any) -> int:
    """Bytes up to the last voxel, by the header."""
    voxels = math.prod(int(length) for length in image.shape)
    # The image's header has an offset of 0, as of one that is yet to be written.
    return int(image.dataobj.offset) + voxels * int(image.header.get_data_dtype().itemsize)


def _compare_with_header(path: Path, image: Any) -> None:
    """Refuse a header that claims more than the file or this machine can hold."""
    claimed = _claimed(image)
    data = Path(image.file_map["image"].filename or path)
    there = data.stat().st_size if data.is_file() else 0
    packed = data.name.lower().endswith(".gz")
    shape = format_shape(image.shape)
    most = MOST_PACKED if packed else 1
    if claimed > there * most and not data.name.lower().endswith(OTHER_PACKED):
        raise UsageError(
            f"{path} is damaged or cut short: its header claims {shape} voxels, {claimed:,} bytes, "
            f"and the file has {there:,}{' (compressed)' if packed else ''}; {AGAIN}"
        )
    scaled = 8 if image.dataobj.slope != 1 or image.dataobj.inter != 0 else 0
    item = max(4, scaled, image.header.get_data_dtype().itemsize)
    require_memory(
        math.prod(int(length) for length in image.shape) * item,
        f"{path}: its {shape} voxels",
        "crop or resample it, or take a machine with more",
    )


def _unpack(path: Path, claimed: int) -> bytes:
    """All bytes of a compressed file, but no more than its header claims and a little.

    Read to the end, as nibabel stops at the last voxel and so never sees the checksum.

    Raises:
        UsageError: there is more.
    """
    with gzip.open(path) as file:
        content = file.read(claimed + REST)
        if file.read(1):
            raise UsageError(
                f"{path} is damaged: its header claims {claimed:,} bytes, and it unpacks to more "
                f"than {REST:,} beyond them; {AGAIN}"
            )
    return content


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
