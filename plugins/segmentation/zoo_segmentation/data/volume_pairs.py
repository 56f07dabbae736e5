"""Images and their label maps under a root, by folders and names."""

from __future__ import annotations

from pathlib import Path

from zoo.plugin import UsageError
from zoo_segmentation.data.channel_files import channel_of
from zoo_segmentation.data.dicom import CONVERT, is_dicom
from zoo_segmentation.data.nifti import SUFFIXES, stem
from zoo_segmentation.data.stacks import SUFFIXES as STACK_SUFFIXES
from zoo_segmentation.data.volumes import TEST, TRAIN, VAL

Pair = tuple[list[Path], Path]
"""The files of an image, one or one a channel, and its label map."""

LAYOUTS = (("images", "labels", TRAIN), ("imagesTr", "labelsTr", TRAIN))
TEST_LAYOUT = ("imagesTs", "labelsTs", TEST)
"""nnU-Net's and the Decathlon's test images, whose label maps are seldom there."""
SPELLINGS = {
    "train": TRAIN,
    "training": TRAIN,
    "tr": TRAIN,
    "val": VAL,
    "valid": VAL,
    "validation": VAL,
    "dev": VAL,
    "test": TEST,
    "testing": TEST,
    "ts": TEST,
}
"""Folders that are parts, whatever their case."""
NAMES = {TRAIN: "training", VAL: "validation", TEST: "test"}


def find_folders(root: Path) -> list[tuple[Path, Path, int]]:
    """The folders of images and of label maps under a root, each pair with its part.

    Raises:
        UsageError: there are none, a part lacks them, or two folders are the same part.
    """
    parts: dict[int, list[Path]] = {}
    for folder in sorted(root.iterdir()):
        if folder.name.lower() in SPELLINGS and folder.is_dir():
            parts.setdefault(SPELLINGS[folder.name.lower()], []).append(folder)
    found = [
        (images, labels, part)
        for part, folders in parts.items()
        for folder in folders
        for images, labels, _ in _layout(folder)
    ]
    if not found or _has_volumes(root):
        found += _layout(root)
    where: dict[int, Path] = {}
    for images, _, part in found:
        if (other := where.setdefault(part, images)) != images:
            raise UsageError(
                f"{other} and {images} both hold {NAMES[part]} volumes; keep one, or name the "
                "parts train/, val/ and test/"
            )
    return sorted(found, key=lambda one: one[2])


def _layout(folder: Path) -> list[tuple[Path, Path, int]]:
    found = [
        (folder / images, folder / labels, part)
        for images, labels, part in (*LAYOUTS, TEST_LAYOUT)
        if (folder / images).is_dir() and (folder / labels).is_dir()
    ]
    if not _has_volumes(folder):
        raise UsageError(f"{folder} has no folders images/ and labels/; put your volumes there")
    return found


def _has_volumes(folder: Path) -> bool:
    return any(
        (folder / images).is_dir() and (folder / labels).is_dir() for images, labels, _ in LAYOUTS
    )


def find_pairs(images: Path, labels: Path) -> list[Pair]:
    """Each label map with its image's files, sorted by name.

    Raises:
        UsageError: there are none, one has no other, or a volume lies there under two suffixes.
    """
    label_paths = {stem(path): path for path in _files(labels)}
    image_paths: dict[str, list[Path]] = {}
    for path in _files(images):
        own = stem(path) if stem(path) in label_paths else channel_of(path)
        image_paths.setdefault(own or stem(path), []).append(path)
    series = _series(images)
    image_paths |= {name: [file] for name, file in series.items()}
    for folder in (images, labels):
        found = (file for file in sorted(folder.rglob("*")) if is_dicom(file))
        if file := next((file for file in found if file.parent.name not in series), None):
            raise UsageError(
                f"{folder} holds DICOM files, such as {file.relative_to(folder)}; training reads a "
                "series as the folder images/NAME beside the label map labels/NAME.nii.gz; or "
                + CONVERT.format(folder=folder)
            )
    if not label_paths:
        raise UsageError(f"{labels} holds no .nii, .nii.gz or .tif files; put the labels there")
    for one, other, place, what in (
        (label_paths, image_paths, images, "image"),
        (image_paths, label_paths, labels, "label map"),
    ):
        lonely = sorted(set(one) - set(other))
        if lonely:
            more = f" (nor of {len(lonely) - 1} more)" if len(lonely) > 1 else ""
            raise UsageError(
                f"there is no {what} of {lonely[0]}{more} in {place}; add or remove it"
            )
    return [(image_paths[name], label_paths[name]) for name in sorted(label_paths)]


def _series(images: Path) -> dict[str, Path]:
    """The first slice in each folder of DICOM files."""
    found: dict[str, Path] = {}
    for folder in sorted(path for path in images.iterdir() if path.is_dir()):
        if file := next((file for file in sorted(folder.iterdir()) if is_dicom(file)), None):
            found[folder.name] = file
    return found


def _files(folder: Path) -> list[Path]:
    """Volumes, without hidden files such as those that macOS writes beside others.

    Raises:
        UsageError: one volume lies there under two suffixes.
    """
    names = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    found: dict[str, Path] = {}
    for path in (
        path for path in names if path.name.lower().endswith((*SUFFIXES, *STACK_SUFFIXES))
    ):
        if (other := found.setdefault(stem(path), path)) != path:
            raise UsageError(
                f"{folder} holds both {other.name} and {path.name}: one volume twice, or two of "
                "one name; keep one, or rename it"
            )
    return list(found.values())
