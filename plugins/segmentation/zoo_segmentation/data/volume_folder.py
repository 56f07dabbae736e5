"""A user's own NIfTI images and labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from zoo.plugin import UsageError, within
from zoo_segmentation.data.nifti import (
    SUFFIXES,
    TOLERANCE,
    Scan,
    affine_distance,
    count_channels,
    read_image,
    read_labels,
    read_scan,
    stem,
)
from zoo_segmentation.data.preprocessing import Normalize
from zoo_segmentation.data.sampling import Volume
from zoo_segmentation.data.volumes import (
    TEST,
    TRAIN,
    VAL,
    Case,
    Listing,
    VolumeDataModule,
    parts_of,
)

PART_FOLDERS = {"train": TRAIN, "val": VAL, "test": TEST}
MOST_CLASSES = 256
# case_0000.nii.gz, case_0001.nii.gz, ...: one file a channel, as nnU-Net names them.
_CHANNEL = re.compile(r"(.+)_(\d{4})")


class VolumeFolder(VolumeDataModule):
    """Your own volumes: ``images/NAME.nii.gz`` beside ``labels/NAME.nii.gz``.

    Channels are the image's fourth axis, or files of their own, ``NAME_0000.nii.gz``,
    ``NAME_0001.nii.gz`` and so on (nnU-Net's ``imagesTr`` and ``labelsTr`` are read too). Either
    all lie in ``root`` and are split, sorted by name; or ``root`` has ``train``, ``test`` and
    perhaps ``val``, each with ``images`` and ``labels``. Labels are whole numbers from 0,
    background.

    Args:
        root: The folder with the images' and the labels' folder.
        batch_size: Sub-volumes in a training batch, on each device.
        num_workers: Processes that prepare training batches.
        seed: Seed of the order, the places and the changes of the sub-volumes; the split does
            not depend on it.
        split: ``standard``, or ``all`` to make every volume test data.
        label_names: The classes' names, background first; without, they are numbered up to the
            largest label found.
        test_fraction: Share of the volumes, the last by name, that is test data. Not used where
            there is a folder ``test``.
        val_fraction: Share of the others held out for validation; 0 for none. Not used where
            there is a folder ``val``.
        patch_size: Length of every axis of a sub-volume (D, H, W: inferior to superior,
            posterior to anterior, left to right).
        patches_per_volume: Sub-volumes of each volume in an epoch.
        curriculum: Stages of training before that on ``patch_size``, [epochs, *size] each, such
            as [[3000, 8, 64, 64], [2000, 15, 128, 128]].
        crop_centers: Where sub-volumes are cut: ``balanced`` (around a voxel of each class equally
            often) or ``uniform``.
        flips: Axes (0 to 2, of D, H, W) that are mirrored in half of the sub-volumes.
        rotate90: Random quarter turns in the plane of the last two axes.
        rotation: Largest random turn in that plane, in degrees, of half of the sub-volumes.
        intensity: Largest random change of contrast (relative) and of brightness (in standard
            deviations), each of half of the sub-volumes.
        noise: Largest standard deviation of random noise, in half of the sub-volumes.
        spacing: Voxel edges (D, H, W) in mm that all volumes are resampled to; without, the
            median of the training volumes.
        normalize_by: Mean and standard deviation are those of each ``volume`` or ``slice``.
        memory_mb: What is larger than this, once read, lies in temporary files.
    """

    keep_best = True

    def __init__(
        self,
        root: str = "data/volume-folder",
        batch_size: int = 2,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        label_names: list[str] | None = None,
        test_fraction: float = 0.2,
        val_fraction: float = 0.1,
        patch_size: list[int] | None = None,
        patches_per_volume: int = 1,
        curriculum: list[list[int]] | None = None,
        crop_centers: str = "balanced",
        flips: list[int] | None = None,
        rotate90: bool = False,
        rotation: float = 0.0,
        intensity: float = 0.0,
        noise: float = 0.0,
        spacing: list[float] | None = None,
        normalize_by: Normalize = "volume",
        memory_mb: int = 4000,
    ) -> None:
        super().__init__(
            root,
            batch_size,
            num_workers,
            seed,
            split,
            patch_size=[32, 32, 32] if patch_size is None else patch_size,
            patches_per_volume=patches_per_volume,
            curriculum=curriculum or [],
            crop_centers=crop_centers,
            flips=flips or [],
            rotate90=rotate90,
            rotation=rotation,
            intensity=intensity,
            noise=noise,
            spacing=spacing,
            normalize_by=normalize_by,
            memory_mb=memory_mb,
        )
        within("test_fraction", test_fraction, 0, 1, below=True)
        within("val_fraction", val_fraction, 0, 1, below=True)
        if label_names is not None and len(label_names) < 2:
            raise UsageError(f"label_names is {label_names}; it takes background and at least one")
        self.label_names = label_names
        self.test_fraction = test_fraction
        self.val_fraction = val_fraction

    def _list(self) -> Listing:
        root = Path(self.root)
        if not root.is_dir():
            raise UsageError(
                f"{root} is not a folder; point --data.root at one with images/ and labels/"
            )
        named = [(root / name, part) for name, part in PART_FOLDERS.items()]
        sources = [(folder, part) for folder, part in named if folder.is_dir()]
        pairs: list[tuple[list[Path], Path]] = []
        parts: list[int] = []
        for folder, part in sources or [(root, TRAIN)]:
            found = _pairs(folder)
            pairs += found
            parts += [part] * len(found)
        parts = self._parts(parts)
        names = self.label_names or _numbered([label for _, label in pairs])
        channels = _channels(pairs)
        cases = [
            Case(label.name, part, partial(_read, images, label, channels, len(names)))
            for (images, label), part in zip(pairs, parts, strict=True)
        ]
        return Listing(cases, names, [f"channel {number}" for number in range(channels)])

    def _parts(self, parts: list[int]) -> list[int]:
        """The parts, with those that have no folder split off the training part."""
        train = [index for index, part in enumerate(parts) if part == TRAIN]
        if not train:
            return parts
        test = 0.0 if TEST in parts else self.test_fraction
        val = 0.0 if VAL in parts else self.val_fraction
        result = list(parts)
        for index, part in zip(train, parts_of(len(train), test, val), strict=True):
            result[index] = part
        if self.split == "standard" and TEST not in result and (test or TEST not in parts):
            raise UsageError(
                f"{self.root} holds {len(parts)} volume(s), too few to split; add more, or put "
                "them into train/ and test/"
            )
        return result


def channel_files(path: Path) -> list[Path]:
    """The files of an image's channels: ``path`` alone, or with ``NAME_0000`` all of ``NAME``."""
    match = _CHANNEL.fullmatch(stem(path))
    if not match:
        return [path]
    found = [
        other
        for other in path.parent.glob(f"{_escaped(match[1])}_[0-9][0-9][0-9][0-9].nii*")
        if (same := _CHANNEL.fullmatch(stem(other))) and same[1] == match[1]
    ]
    return sorted(found)


def channel_of(path: Path) -> str | None:
    """NAME of a file called ``NAME_0000.nii.gz``, that of one channel; None of another."""
    match = _CHANNEL.fullmatch(stem(path))
    return match[1] if match else None


def read_channels(paths: Sequence[Path], channels: int | None) -> Scan:
    """Read an image from one file, or from one file a channel.

    Raises:
        UsageError: a file cannot be used, one is missing, or they do not lie on one grid.
    """
    if channels is not None and channels > 1:
        _require_channels(paths, channels)
    if len(paths) == 1:
        return read_image(paths[0], channels)
    if channels is not None and len(paths) != channels:
        raise UsageError(
            f"{paths[0]}: there are {len(paths)} channels ({', '.join(p.name for p in paths)}) and "
            f"have to be {channels}; every image needs all of them"
        )
    scans = [read_image(path, 1) for path in paths]
    first = scans[0]
    for path, scan in zip(paths, scans, strict=True):
        tolerance = TOLERANCE * min(first.spacing)
        if scan.shape != first.shape or affine_distance(scan, first) > tolerance:
            raise UsageError(
                f"{path} and {paths[0]} do not lie on one grid (shape or affine matrix differ); "
                "register them"
            )
    array = np.concatenate([scan.array for scan in scans])
    return Scan(array, first.spacing, first.affine, first.shape, first.header)


def _require_channels(paths: Sequence[Path], channels: int) -> None:
    """Name the channels' files that are missing beside those that are there."""
    first = paths[0]
    name = channel_of(first)
    if name is None or (len(paths) == 1 and count_channels(first) > 1):
        return
    suffix = first.name[len(stem(first)) :]
    there = {stem(path) for path in paths}
    wanted = [f"{name}_{number:04d}" for number in range(channels)]
    missing = [f"{file}{suffix}" for file in wanted if file not in there]
    if missing:
        raise UsageError(
            f"{first.parent} lacks {', '.join(missing)} beside {first.name}; every image has to "
            f"have {channels} channels, here a file each"
        )


def _read(images: Sequence[Path], label_path: Path, channels: int, classes: int) -> Volume:
    scan = read_channels(images, channels)
    label = read_labels(label_path, scan, images[0], classes)
    return Volume(stem(label_path), scan.array, label, scan.spacing)


def _pairs(folder: Path) -> list[tuple[list[Path], Path]]:
    """Each label file with its image's files, sorted by name."""
    for images, labels in (("images", "labels"), ("imagesTr", "labelsTr")):
        if (folder / images).is_dir() and (folder / labels).is_dir():
            break
    else:
        raise UsageError(f"{folder} has no folders images/ and labels/; put your volumes there")
    label_paths = {stem(path): path for path in _files(folder / labels)}
    image_paths: dict[str, list[Path]] = {}
    for path in _files(folder / images):
        match = _CHANNEL.fullmatch(stem(path))
        name = match[1] if match and stem(path) not in label_paths else stem(path)
        image_paths.setdefault(name, []).append(path)
    if not label_paths:
        raise UsageError(f"{folder / labels} holds no .nii or .nii.gz files; put the labels there")
    for one, other, place, what in (
        (label_paths, image_paths, folder / images, "image"),
        (image_paths, label_paths, folder / labels, "label map"),
    ):
        lonely = sorted(set(one) - set(other))
        if lonely:
            more = f" (nor of {len(lonely) - 1} more)" if len(lonely) > 1 else ""
            raise UsageError(
                f"there is no {what} of {lonely[0]}{more} in {place}; add or remove it"
            )
    return [(image_paths[name], label_paths[name]) for name in sorted(label_paths)]


def _files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".")
    )


def _channels(pairs: Sequence[tuple[list[Path], Path]]) -> int:
    """How many channels most images have; the others are refused when they are read."""
    counts: dict[int, int] = {}
    for images, _ in pairs:
        count = len(images)
        if count == 1:
            try:
                count = count_channels(images[0])
            except UsageError:  # said again, with the others, when all are read
                continue
        counts[count] = counts.get(count, 0) + 1
    return max(counts, key=lambda count: counts[count], default=1)


def _numbered(labels: Sequence[Path]) -> list[str]:
    """Names for the classes from 0 to the largest label."""
    largest = 1
    for path in labels:
        try:
            values = read_scan(path).array
        except UsageError:  # said again, with the others, when all are read
            continue
        top = float(values.max())
        if top >= MOST_CLASSES:
            raise UsageError(
                f"{path} has labels up to {top:g}; they have to be classes, numbered from 0, at "
                f"most {MOST_CLASSES - 1}"
            )
        largest = max(largest, int(top))
    return ["background", *(str(label) for label in range(1, largest + 1))]


def _escaped(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)
