"""NIfTI files: read and checked, brought into one orientation, written in their own space."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from zoo.plugin import UsageError
from zoo_segmentation.memory import format_shape

SUFFIXES = (".nii", ".nii.gz")
CHANNELS_AXIS = 3
TOLERANCE = 0.1
"""Image and label may lie so far apart, as a fraction of the smallest voxel edge."""

AGAIN = "copy or export it again"
_DAMAGED = (ImageFileError, HeaderDataError, EOFError, zlib.error, ValueError)


@dataclass(frozen=True)
class Scan:
    """A NIfTI image in the zoo's orientation.

    Arrays run from inferior to superior, posterior to anterior, left to right (D, H, W): the
    file's axes, flipped and swapped to the nearest of these, without any interpolation.

    Attributes:
        array: (C, D, H, W), the file's values, scaled as its header says.
        spacing: Voxel edges along D, H, W, in mm.
        affine: (4, 4) of the file itself, from voxel indices to mm.
        shape: Length of the file's own three axes.
        header: The file's header.
    """

    array: np.ndarray
    spacing: tuple[float, float, float]
    affine: np.ndarray
    shape: tuple[int, int, int]
    header: nib.Nifti1Header

    def to_file_axes(self, array: np.ndarray) -> np.ndarray:
        """An array (D, H, W), or (D, H, W, C), of this scan's grid along the file's own axes."""
        forward = nib.orientations.io_orientation(self.affine)
        canonical = nib.orientations.axcodes2ornt("RAS")
        back = nib.orientations.ornt_transform(canonical, forward)
        xyz = array.transpose(2, 1, 0, *range(3, array.ndim))
        turned: np.ndarray = nib.orientations.apply_orientation(xyz, back)
        return turned


def read_scan(path: str | Path) -> Scan:
    """Read an image.

    Args:
        path: A ``.nii`` or ``.nii.gz`` file with three axes, or four, the last of channels.

    Raises:
        UsageError: the file is missing, empty, damaged, no such image, or has voxels that are
            not finite numbers.
    """
    path = Path(path)
    image, values = _load(path)
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise UsageError(
            f"{path}: the affine matrix is singular, so that its voxels have no place and size; "
            "repair the header"
        )
    if np.issubdtype(values.dtype, np.inexact) and not (finite := np.isfinite(values)).all():
        count = int(finite.size - finite.sum())
        raise UsageError(
            f"{path}: {count} of {values.size} voxels are NaN or infinite; replace them, for "
            "example by 0"
        )
    shape = values.shape[:3]
    if values.ndim == CHANNELS_AXIS:
        values = values[..., None]
    canonical = nib.orientations.apply_orientation(values, nib.orientations.io_orientation(affine))
    axes = nib.orientations.io_orientation(affine)[:, 0].astype(int)
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    spacing = np.empty(3)
    spacing[axes] = edges  # of right, anterior, superior
    x, y, z = (float(round(edge, 6)) for edge in spacing)
    array = np.ascontiguousarray(canonical.transpose(3, 2, 1, 0))
    return Scan(array, (z, y, x), affine, (shape[0], shape[1], shape[2]), image.header)


def read_image(path: str | Path, channels: int | None = None) -> Scan:
    """Read an image as float32.

    Args:
        path: As for `read_scan`.
        channels: How many channels it must have; any number without.

    Raises:
        UsageError: as of `read_scan`, or the number of channels is another.
    """
    scan = read_scan(path)
    if channels is not None and len(scan.array) != channels:
        raise UsageError(
            f"{path} has {_count(len(scan.array), 'channel')}, not {channels}; every image needs "
            "all of them, in one order"
        )
    return replace(scan, array=scan.array.astype(np.float32))


def count_channels(path: str | Path) -> int:
    """How many channels a file has, by its header alone.

    Raises:
        UsageError: as of `read_scan`, as far as a header can tell.
    """
    shape = _open(Path(path)).shape
    return int(np.prod(shape[CHANNELS_AXIS:])) if len(shape) > CHANNELS_AXIS else 1


def read_labels(path: str | Path, image: Scan, image_path: str | Path, classes: int) -> np.ndarray:
    """Read the label map of an image.

    Args:
        path: A NIfTI file of whole numbers.
        image: The image it belongs to.
        image_path: Where that came from, for messages.
        classes: Number of classes; labels run from 0 to one less.

    Returns:
        uint8 (D, H, W).

    Raises:
        UsageError: as of `read_scan`, the two do not lie on one grid, or a label is not a class.
    """
    scan = read_scan(path)
    if len(scan.array) != 1:
        raise UsageError(f"{path} has {len(scan.array)} channels; a label map has one")
    if scan.shape != image.shape:
        raise UsageError(
            f"{path} has {format_shape(scan.shape)} voxels and its image {image_path} "
            f"{format_shape(image.shape)}; they do not belong together"
        )
    distance = affine_distance(scan, image)
    if distance > TOLERANCE * min(image.spacing):
        raise UsageError(
            f"{path} and its image {image_path} have different affine matrices: their voxels lie "
            f"up to {distance:.3g} mm apart; resample one onto the other's grid"
        )
    check_labels(scan.array[0], classes, path)
    labels: np.ndarray = scan.array[0].astype(np.uint8)
    return labels


def check_labels(labels: np.ndarray, classes: int, path: str | Path) -> None:
    """Refuse labels that are no classes.

    Raises:
        UsageError: naming the file, the labels and how many voxels have them.
    """
    known = np.isin(labels, np.arange(classes))
    if not known.all():
        strange = np.unique(labels[~known])
        shown = ", ".join(f"{value:g}" for value in strange[:5]) + (
            ", ..." if len(strange) > 5 else ""
        )
        raise UsageError(
            f"{path}: {_count(int((~known).sum()), 'voxel')} of {labels.size} have labels that "
            f"are no class ({shown}); there are the classes 0 to {classes - 1}"
        )


def affine_distance(one: Scan, other: Scan) -> float:
    """Largest distance, in mm, of a corner voxel in one scan from the same in the other."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in one.shape], [1])).reshape(4, -1)
    difference = (one.affine - other.affine) @ corners
    return float(np.linalg.norm(difference[:3], axis=0).max())


def write_nifti(path: Path, array: np.ndarray, scan: Scan) -> None:
    """Write a map in the space of the scan it was made from: its axes, affine and their codes.

    Args:
        path: Ends in ``.nii`` or ``.nii.gz``; its folder is made.
        array: (D, H, W), or (D, H, W, K), on the scan's grid.
        scan: Where it belongs.
    """
    header = scan.header.copy()
    header.set_data_dtype(array.dtype)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0  # the display range of other values
    image = nib.Nifti1Image(np.ascontiguousarray(scan.to_file_axes(array)), scan.affine, header)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)


def stem(path: Path) -> str:
    """A file's name without ``.nii``, ``.nii.gz`` or its one other suffix."""
    name = path.name
    for suffix in (".nii.gz", ".nii"):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return path.stem


def _open(path: Path) -> Any:
    """The image, its voxels not yet read."""
    try:
        if path.is_file() and path.stat().st_size == 0:
            raise UsageError(f"{path} is an empty file; {AGAIN}")
        image: Any = nib.load(path)
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {path}") from error
    except _DAMAGED as error:
        raise UsageError(
            f"{path} is not a readable NIfTI file ({_line(error)}); {AGAIN}"
        ) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({_line(error)}); {AGAIN}") from error
    if not isinstance(image, nib.Nifti1Pair):
        raise UsageError(f"{path} is no NIfTI file, but {type(image).__name__}; convert it")
    return image


def _load(path: Path) -> tuple[Any, np.ndarray]:
    image = _open(path)
    try:
        if path.name.lower().endswith(".gz"):
            # All of it, as nibabel stops at the last voxel and so never sees the checksum.
            image = type(image).from_bytes(gzip.decompress(path.read_bytes()))
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


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
