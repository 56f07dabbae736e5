"""A DICOM series, one file a slice, as one volume; read by pydicom, which is optional."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from zoo.plugin import MissingDependencyError, UsageError
from zoo_segmentation.data.nifti import Scan, make_scan
from zoo_segmentation.memory import require_memory

SUFFIX = ".dcm"
CONVERT = "convert the series with dcm2niix: dcm2niix -z y -o NEW_FOLDER {folder}"
NEEDED = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns")
EVEN = 0.01
"""Distances between slices may differ by this fraction of their median."""
STRAIGHT = 0.1
"""A slice may lie this fraction of a pixel beside the one before."""
THICKNESS = "a series of one slice; its thickness is taken for the distance between slices"


def is_dicom(path: Path) -> bool:
    """Whether a file has DICOM's mark after its preamble, or DICOM's suffix."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM" or path.name.lower().endswith(SUFFIX)


def series_of(path: Path) -> str:
    """What tells a file's series from others in its folder; "" where it cannot be read."""
    try:
        return str(getattr(_header(path), "SeriesInstanceUID", ""))
    except UsageError:  # said when it is read
        return ""


def read_series(path: Path) -> Scan:
    """Read the series that a file belongs to: all files of it in the same folder.

    Values are rescaled as the files say (of CT to Hounsfield units); the affine matrix runs to
    NIfTI's coordinates (right, anterior, superior), in mm.

    Raises:
        UsageError: pydicom is missing, the files are damaged or compressed, or they are not
            parallel gray slices at even distances that lie above one another.
    """
    series = series_of(path)
    files = [file for file in sorted(path.parent.iterdir()) if is_dicom(file)]
    headers = [_header(file) for file in files if series_of(file) == series] or [_header(path)]
    slices = _sorted(path, headers)
    rows, columns = int(slices[0].Rows), int(slices[0].Columns)
    require_memory(4 * rows * columns * len(slices), f"{path}: its series", "crop or resample it")
    affine, notes = _affine(path, slices)
    values = np.stack([_values(Path(one.filename)) for one in slices], axis=-1).swapaxes(0, 1)
    header = nib.Nifti1Header()
    header.set_xyzt_units("mm")
    header.set_sform(affine, code=1)
    header.set_qform(affine, code=1)
    return make_scan(path, values, affine, header, notes)


def _pydicom(path: Path) -> Any:
    try:
        import pydicom
    except ImportError as error:
        raise MissingDependencyError(
            f"{path} is DICOM, and pydicom, which reads it, is missing: install zoo-segmentation "
            f"with its extra dicom, or {CONVERT.format(folder=path.parent)}"
        ) from error
    return pydicom


def _header(path: Path) -> Any:
    pydicom = _pydicom(path)
    try:
        return pydicom.dcmread(path, stop_before_pixels=True)
    except (pydicom.errors.InvalidDicomError, OSError, ValueError, KeyError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{path} is not a readable DICOM file ({reason})") from error


def _sorted(path: Path, headers: Sequence[Any]) -> list[Any]:
    """The slices from first to last along their normal.

    Raises:
        UsageError: a header lacks something, or they are not slices of one volume.
    """
    convert = CONVERT.format(folder=path.parent)
    first = headers[0]
    for one in headers:
        frames = int(getattr(one, "NumberOfFrames", 1) or 1)
        lacking = [name for name in NEEDED if getattr(one, name, None) is None]
        if frames > 1 or lacking:
            what = f"holds {frames} frames" if frames > 1 else f"lacks {', '.join(lacking)}"
            raise UsageError(f"{one.filename} {what}, and one slice a file is read; {convert}")
        if int(getattr(one, "SamplesPerPixel", 1)) != 1 or (
            getattr(one, "PhotometricInterpretation", "MONOCHROME2") != "MONOCHROME2"
        ):
            raise UsageError(
                f"{one.filename} holds {one.PhotometricInterpretation} values; they have to be "
                "gray, with bright values large (MONOCHROME2)"
            )
        if (one.Rows, one.Columns) != (first.Rows, first.Columns) or not (
            np.allclose(one.ImageOrientationPatient, first.ImageOrientationPatient, atol=1e-4)
            and np.allclose(one.PixelSpacing, first.PixelSpacing, rtol=1e-4)
        ):
            raise UsageError(
                f"{one.filename} and {first.filename} differ in size, direction or pixel spacing, "
                f"so that they are not slices of one volume; {convert}"
            )
    normal = _directions(first)[2]
    return sorted(headers, key=lambda one: float(np.dot(one.ImagePositionPatient, normal)))


def _directions(header: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors along a row, down a column, and across the slice."""
    along, down = np.array(header.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
    return along, down, np.cross(along, down)


def _affine(path: Path, slices: Sequence[Any]) -> tuple[np.ndarray, list[str]]:
    """(4, 4) from (column, row, slice) to right, anterior, superior in mm."""
    along, down, normal = _directions(slices[0])
    height, width = (float(edge) for edge in slices[0].PixelSpacing)
    places = np.array([one.ImagePositionPatient for one in slices], dtype=np.float64)
    notes: list[str] = []
    if len(slices) == 1:
        notes.append(THICKNESS)
        step = normal * float(getattr(slices[0], "SliceThickness", None) or 1.0)
    else:
        _check_steps(path, places, normal, min(height, width))
        step = (places[-1] - places[0]) / (len(slices) - 1)
    matrix = np.eye(4)
    matrix[:3] = np.column_stack([along * width, down * height, step, places[0]])
    # DICOM's axes run to the left and to the back, NIfTI's to the right and to the front.
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix, notes


def _check_steps(path: Path, places: np.ndarray, normal: np.ndarray, pixel: float) -> None:
    steps = np.diff(places, axis=0)
    gaps = steps @ normal
    convert = CONVERT.format(folder=path.parent)
    if gaps.min() < 1e-3:
        raise UsageError(
            f"the series of {path} has several slices in one place (times, echoes or copies); "
            f"{convert}"
        )
    middle = float(np.median(gaps))
    if np.abs(gaps - middle).max() > EVEN * middle:
        raise UsageError(
            f"the slices of the series of {path} lie {gaps.min():.4g} to {gaps.max():.4g} mm "
            f"apart, and have to be even: some may be missing, or {convert}"
        )
    if np.linalg.norm(steps - np.outer(gaps, normal), axis=1).max() > STRAIGHT * pixel:
        raise UsageError(
            f"the slices of the series of {path} do not lie above one another (a tilted gantry); "
            f"{convert}, which straightens them"
        )


def _values(path: Path) -> np.ndarray:
    """(rows, columns), float32, rescaled."""
    pydicom = _pydicom(path)
    try:
        header = pydicom.dcmread(path)
        stored = header.pixel_array
    except Exception as error:  # whatever decoders of compressed pixels raise
        reason = " ".join(str(error).split())
        raise UsageError(
            f"{path}: its pixels cannot be read ({reason}); {CONVERT.format(folder=path.parent)}"
        ) from error
    slope = float(getattr(header, "RescaleSlope", None) or 1.0)
    offset = float(getattr(header, "RescaleIntercept", None) or 0.0)
    return np.asarray(stored * slope + offset, dtype=np.float32)
