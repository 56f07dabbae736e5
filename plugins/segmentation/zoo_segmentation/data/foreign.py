"""Files of other formats, recognized by their first bytes, and what makes NIfTI of them."""

from __future__ import annotations

from pathlib import Path

GZIP = b"\x1f\x8b"
_DICOM = "DICOM; convert the series with dcm2niix: dcm2niix -z y -o NEW_FOLDER {folder}"
_MGH = "FreeSurfer's MGH; convert it: mri_convert {name} {stem}.nii.gz"
_MINC = "MINC; convert it: mnc2nii {name} {stem}.nii"
_NRRD = "NRRD; convert it with 3D Slicer or SimpleITK (ReadImage, WriteImage to {stem}.nii.gz)"
_META = "MetaImage; convert it with 3D Slicer or SimpleITK (ReadImage, WriteImage to {stem}.nii.gz)"
_TIFF = "TIFF; a stack of slices has the suffix .tif and is read by models of TIFF stacks"
_BY_SUFFIX = {
    ".dcm": _DICOM,
    ".ima": _DICOM,
    ".mgh": _MGH,
    ".mgz": _MGH,
    ".mnc": _MINC,
    ".nrrd": _NRRD,
    ".nhdr": _NRRD,
    ".mha": _META,
    ".mhd": _META,
}
_BY_START = (
    (b"NRRD", _NRRD),
    (b"ObjectType", _META),
    (b"\x89HDF\r\n\x1a\n", _MINC),
    (b"CDF\x01", _MINC),
    (b"II*\x00", _TIFF),
    (b"MM\x00*", _TIFF),
)


def foreign_format(path: Path) -> str | None:
    """What a file is if it is of a known format other than NIfTI, and how to convert it.

    Args:
        path: An existing file; 132 bytes of it are read.

    Returns:
        The end of a sentence, ``DICOM; convert ...``; None if it may be NIfTI.
    """
    with path.open("rb") as file:
        start = file.read(132)
    text = next((text for mark, text in _BY_START if start.startswith(mark)), None)
    if start[128:132] == b"DICM":
        text = _DICOM
    text = text or _BY_SUFFIX.get(path.suffix.lower())
    if text is None:
        return None
    return text.format(folder=path.parent, name=path.name, stem=path.stem)


def wrong_container(path: Path) -> str | None:
    """What is wrong if a file's suffix says compressed and its bytes do not, or the reverse.

    Returns:
        The end of a sentence with the remedy; None if suffix and bytes agree.
    """
    name = path.name.lower()
    with path.open("rb") as file:
        packed = file.read(2) == GZIP
    if name.endswith(".nii") and packed:
        return f"holds gzip-compressed bytes although its suffix is .nii: name it {path.name}.gz"
    if name.endswith(".nii.gz") and not packed and _is_plain_nifti(path):
        return (
            "is not compressed although its suffix is .nii.gz: name it "
            f"{path.name[: -len('.gz')]}, or compress it with gzip"
        )
    return None


def _is_plain_nifti(path: Path) -> bool:
    """Whether the header's length, its first number, is that of NIfTI-1 or NIfTI-2."""
    with path.open("rb") as file:
        start = file.read(4)
    return {int.from_bytes(start, "little"), int.from_bytes(start, "big")} & {348, 540} != set()
