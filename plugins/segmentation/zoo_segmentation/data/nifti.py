"""NIfTI files: read and checked, brought into one orientation, written in their own space."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from zoo.plugin import UsageError
from zoo_segmentation.data.labels import to_classes
from zoo_segmentation.data.nifti_file import (
    CHANNELS_AXIS,
    count_channels,
    load_nifti,
    quiet_nibabel,
)
from zoo_segmentation.memory import format_shape

__all__ = ["count_channels"]

SUFFIXES = (".nii", ".nii.gz")
TOLERANCE = 0.1
"""Image and label may lie so far apart, as a fraction of the smallest voxel edge."""

SINGULAR = 1e-6
"""Determinant of an affine matrix's directions, unit vectors, below which they lie in a plane."""

UNIT_BITS = 7
MILLIMETRES = {1: 1e3, 2: 1.0, 3: 1e-3}
"""In meter, millimetre and micrometre, by their codes in ``xyzt_units``."""
NO_UNIT = "the header names no unit of length; taken for mm"
NO_PLACE = (
    "the header says nothing of orientation (sform and qform codes are 0); taken as first axis to "
    "the left, second to the front, third up"
)
TWO_PLACES = "sform and qform place the voxels differently; the sform is used"


@dataclass(frozen=True)
class Scan:
    """A NIfTI image in the zoo's orientation.

    Arrays run from inferior to superior, posterior to anterior, left to right (D, H, W): the
    file's axes, flipped and swapped to the nearest of these, without any interpolation.

    Attributes:
        array: (C, D, H, W), the file's values, scaled as its header says.
        spacing: Voxel edges along D, H, W, in mm.
        affine: (4, 4) of the file itself, from voxel indices to the file's unit of length.
        shape: Length of the file's own three axes.
        header: The file's header.
        unit: Millimetres in the file's unit of length.
        notes: What was assumed, as the end of a sentence each.
    """

    array: np.ndarray
    spacing: tuple[float, float, float]
    affine: np.ndarray
    shape: tuple[int, int, int]
    header: nib.Nifti1Header
    unit: float = 1.0
    notes: tuple[str, ...] = ()

    @property
    def oriented(self) -> bool:
        """Whether the header says how the image lies in space."""
        return NO_PLACE not in self.notes

    @property
    def places(self) -> list[np.ndarray]:
        """The affine matrices (4, 4) that the header gives, to mm, that in use first."""
        scale = np.diag([self.unit, self.unit, self.unit, 1.0])
        return [scale @ matrix for matrix in (self.affine, *_coded(self.header))]

    def to_file_axes(self, array: np.ndarray) -> np.ndarray:
        """An array (D, H, W), or (D, H, W, C), of this scan's grid along the file's own axes."""
        forward = nib.orientations.io_orientation(self.affine)
        canonical = nib.orientations.axcodes2ornt("RAS")
        back = nib.orientations.ornt_transform(canonical, forward)
        xyz = array.transpose(2, 1, 0, *range(3, array.ndim))
        turned: np.ndarray = nib.orientations.apply_orientation(xyz, back)
        return turned

    def from_file_axes(self, values: np.ndarray) -> np.ndarray:
        """The reverse of `to_file_axes`: (X, Y, Z), or (X, Y, Z, C), as (D, H, W), (C, D, H, W)."""
        forward = nib.orientations.io_orientation(self.affine)
        turned: np.ndarray = nib.orientations.apply_orientation(values, forward)
        return turned.transpose(2, 1, 0) if values.ndim == 3 else turned.transpose(3, 2, 1, 0)


def read_scan(path: str | Path) -> Scan:
    """Read an image.

    Args:
        path: A ``.nii`` or ``.nii.gz`` file with three axes, or four, the last of channels.

    Raises:
        UsageError: the file is missing, empty, damaged, no such image, or has voxels that are
            not finite numbers.
    """
    path = Path(path)
    image, values = load_nifti(path)
    affine = np.asarray(image.affine, dtype=np.float64)
    return make_scan(path, values, affine, image.header)


def make_scan(
    path: Path, values: np.ndarray, affine: np.ndarray, header: Any, notes: Sequence[str] = ()
) -> Scan:
    """A scan of values along a file's own axes, (X, Y, Z) or (X, Y, Z, C).

    Args:
        path: The file, for messages.
        values: The voxels.
        affine: (4, 4) from indices to the header's unit of length.
        header: Of NIfTI; what a map in the scan's space is written with.
        notes: What was assumed so far.

    Raises:
        UsageError: the affine matrix is singular, or some voxels are not finite numbers.
    """
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    # The determinant of the directions alone: voxels may be of any size.
    if not (
        np.isfinite(affine).all()
        and edges.all()
        and abs(np.linalg.det(affine[:3, :3] / edges)) > SINGULAR
    ):
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
    unit, assumed = _unit(header)
    axes = nib.orientations.io_orientation(affine)[:, 0].astype(int)
    spacing = np.empty(3)
    spacing[axes] = edges * unit  # of right, anterior, superior
    x, y, z = (_rounded(edge) for edge in spacing)
    if values.ndim == CHANNELS_AXIS:
        values = values[..., None]
    shape = (values.shape[0], values.shape[1], values.shape[2])
    scan = Scan(values, (z, y, x), affine, shape, header, unit)
    array = np.ascontiguousarray(scan.from_file_axes(values))
    return replace(scan, array=array, notes=(*notes, *assumed, *_doubts_of_place(scan)))


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


def read_labels(
    path: str | Path,
    image: Scan,
    image_path: str | Path,
    classes: Mapping[int, int] | int,
) -> np.ndarray:
    """Read the label map of an image.

    Args:
        path: A NIfTI file of whole numbers.
        image: The image it belongs to.
        image_path: Where that came from, for messages.
        classes: The class of each of the file's values; or a number of classes, which run from 0
            to one less.

    Returns:
        uint8 (D, H, W).

    Raises:
        UsageError: as of `read_scan`, the two do not lie on one grid, or a label is not a class.
    """
    scan = read_scan(path)
    if NO_UNIT in scan.notes:  # many tools drop it
        scan = replace(scan, unit=image.unit)
    if len(scan.array) != 1:
        raise UsageError(f"{path} has {len(scan.array)} channels; a label map has one")
    if scan.shape != image.shape:
        raise UsageError(
            f"{path} has {format_shape(scan.shape)} voxels and its image {image_path} "
            f"{format_shape(image.shape)}; they do not belong together"
        )
    distance = grid_distance(scan, image)
    if distance > TOLERANCE * min(image.spacing):
        raise UsageError(
            f"{path} and its image {image_path} have different affine matrices: their voxels lie "
            f"up to {distance:.3g} mm apart; resample one onto the other's grid, or copy the "
            "image's header where the voxels do match"
        )
    return to_classes(on_grid_of(image, scan)[0], classes, path)


def on_grid_of(first: Scan, other: Scan) -> np.ndarray:
    """The array (C, D, H, W) of a scan along the axes of another on the same grid: matrices that
    are nearly equal, or of which the other one agrees, may be nearest to different axes."""
    if np.array_equal(first.affine, other.affine):
        return other.array
    values = other.to_file_axes(other.array.transpose(1, 2, 3, 0))
    return np.ascontiguousarray(first.from_file_axes(values))


def grid_distance(one: Scan, other: Scan) -> float:
    """Largest distance, in mm, of a corner voxel in one scan from the same in the other, by the
    affine matrices of their headers (sform or qform) that agree best."""
    return min(_apart(a, b, one.shape) for a in one.places for b in other.places)


def write_nifti(path: Path, array: np.ndarray, scan: Scan) -> None:
    """Write a map in the space of the scan it was made from: its axes, affine and their codes.

    Args:
        path: Ends in ``.nii`` or ``.nii.gz``; its folder is made.
        array: (D, H, W), or (D, H, W, K), on the scan's grid.
        scan: Where it belongs.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with quiet_nibabel():
        header = nib.Nifti1Header.from_header(scan.header)
        header.set_data_dtype(array.dtype)
        header.set_slope_inter(1, 0)
        header["cal_min"] = header["cal_max"] = 0  # the display range of other values
        voxels = np.ascontiguousarray(scan.to_file_axes(array))
        nib.save(nib.Nifti1Image(voxels, scan.affine, header), path)


def stem(path: Path) -> str:
    """A file's name without ``.nii``, ``.nii.gz`` or its one other suffix."""
    name = path.name
    for suffix in (".nii.gz", ".nii"):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return path.stem


def _coded(header: Any) -> list[np.ndarray]:
    """The matrices of the header's sform and qform, without those that it does not give."""
    matrices = []
    for read in (header.get_sform, header.get_qform):
        try:
            matrix = read(coded=True)[0]
        except (ValueError, HeaderDataError):  # a qform that is not a rotation
            continue
        if matrix is not None:
            matrices.append(np.asarray(matrix, dtype=np.float64))
    return matrices


def _apart(one: np.ndarray, other: np.ndarray, shape: Sequence[int]) -> float:
    """Largest distance of a corner voxel by one affine matrix from the same by another."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape], [1])).reshape(4, -1)
    return float(np.linalg.norm(((one - other) @ corners)[:3], axis=0).max())


def _unit(header: Any) -> tuple[float, list[str]]:
    """Millimetres in the header's unit of length, and what had to be assumed."""
    unit = MILLIMETRES.get(int(header["xyzt_units"]) & UNIT_BITS)
    return (1.0, [NO_UNIT]) if unit is None else (unit, [])


def _doubts_of_place(scan: Scan) -> list[str]:
    used, *others = scan.places
    if not others:
        return [NO_PLACE]
    spread = max(_apart(used, other, scan.shape) for other in others)
    return [TWO_PLACES] if spread > TOLERANCE * min(scan.spacing) else []


def _rounded(edge: float) -> float:
    """A length without the noise of its float32: six digits after the point, or after the zeros
    of one below 0.1."""
    return round(float(edge), 6 + max(0, -1 - math.floor(math.log10(edge))))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
