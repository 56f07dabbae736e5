"""A user's image and label map, whatever format they have: NIfTI, a TIFF stack, a DICOM series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from zoo.plugin import UsageError
from zoo_segmentation.data import dicom
from zoo_segmentation.data.channel_files import read_channels
from zoo_segmentation.data.labels import to_classes
from zoo_segmentation.data.nifti import count_channels, read_labels, read_scan, stem
from zoo_segmentation.data.stacks import SUFFIXES as STACK_SUFFIXES
from zoo_segmentation.data.stacks import read_channel_stack, read_stack
from zoo_segmentation.data.volume import Volume
from zoo_segmentation.memory import format_shape

NO_SPACING = (
    "a TIFF stack does not say how large its voxels are; taken for cubes of 1 mm: divide them by "
    "--data.patch_size, or convert it to NIfTI"
)


def is_stack(path: Path) -> bool:
    """Whether a file is called as TIFF stacks are."""
    return path.name.lower().endswith(STACK_SUFFIXES)


def read_pair(
    images: Sequence[Path], label_path: Path, channels: int, classes: Mapping[int, int]
) -> Volume:
    """An image with its label map.

    Args:
        images: Its file, or one for each channel; of a DICOM series one of its slices.
        label_path: NIfTI, or of a TIFF stack another one.
        channels: How many there have to be.
        classes: The class of each value in the label map.

    Raises:
        UsageError: a file cannot be used, or they do not belong together.
    """
    if is_stack(images[0]) or is_stack(label_path):
        return _read_stacks(images, label_path, channels, classes)
    if dicom.is_dicom(images[0]):
        if channels != 1:
            raise UsageError(f"{images[0].parent}: a DICOM series has 1 channel, not {channels}")
        scan = dicom.read_series(images[0])
    else:
        scan = read_channels(images, channels)
    label = read_labels(label_path, scan, images[0], classes)
    return Volume(stem(label_path), scan.array, label, scan.spacing, scan.notes, scan.oriented)


def _read_stacks(
    images: Sequence[Path], label_path: Path, channels: int, classes: Mapping[int, int]
) -> Volume:
    path = images[0]
    if not (len(images) == 1 and is_stack(path) and is_stack(label_path)):
        raise UsageError(
            f"{path} and {label_path}: the label map of a TIFF stack is a TIFF stack, and its "
            "channels are in one file"
        )
    stack = read_channel_stack(path)
    if len(stack) != channels:
        raise UsageError(f"{path} has {len(stack)} channels and has to have {channels}")
    label = read_stack(label_path)
    if label.shape != stack.shape[1:]:
        raise UsageError(
            f"{label_path} has {format_shape(label.shape)} voxels and its image {path} "
            f"{format_shape(stack.shape[1:])}; they do not belong together"
        )
    whole = to_classes(label, classes, label_path)
    image = stack.astype(np.float32)
    return Volume(stem(label_path), image, whole, (1.0, 1.0, 1.0), (NO_SPACING,))


def channels_in(images: Sequence[Path]) -> int:
    """Channels of an image.

    Raises:
        UsageError: its file cannot be used.
    """
    if len(images) > 1:
        return len(images)
    if is_stack(images[0]):
        return len(read_channel_stack(images[0]))
    return 1 if dicom.is_dicom(images[0]) else count_channels(images[0])


def label_values(path: Path) -> np.ndarray:
    """The values of a label map, as the file has them.

    Raises:
        UsageError: it cannot be used.
    """
    return read_stack(path) if is_stack(path) else read_scan(path).array
