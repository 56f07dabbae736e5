"""A user's own images and label maps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from zoo.plugin import UsageError, rank_zero_print, within
from zoo_segmentation.data.dataset_json import IGNORE, Description, read_description
from zoo_segmentation.data.labels import (
    MOST_CLASSES,
    NOT_COUNTED,
    count_classes,
    count_values,
    read_mapping,
    values_of,
    whole_numbers,
)
from zoo_segmentation.data.preprocessing import Normalize
from zoo_segmentation.data.volume_files import channels_in, label_values, read_pair
from zoo_segmentation.data.volume_pairs import Pair, find_folders, find_pairs
from zoo_segmentation.data.volumes import (
    TEST,
    TRAIN,
    VAL,
    Case,
    Listing,
    VolumeDataModule,
    parts_of,
)


class VolumeFolder(VolumeDataModule):
    """Your own volumes: ``images/NAME.nii.gz`` beside ``labels/NAME.nii.gz``.

    Channels are the image's fourth axis, or files of their own, ``NAME_0000.nii.gz``,
    ``NAME_0001.nii.gz`` and so on. Either all lie in ``root`` and are split, sorted by name; or
    ``root`` has ``train``, ``test`` and perhaps ``val`` (in any spelling, such as ``Training``),
    each with ``images`` and ``labels``.
    An image may also be a TIFF stack, with a stack of labels beside it, or a folder
    ``images/NAME`` with the slices of a DICOM series, with ``labels/NAME.nii.gz``.
    nnU-Net's raw folders (``imagesTr``, ``labelsTr``) are read too, with the names of labels and
    channels in their ``dataset.json``.

    Labels are whole numbers from 0, background. Values that are not, such as masks of 0 and 255,
    are refused until ``labels`` says which class each is.

    Args:
        root: The folder with the images' and the labels' folder.
        batch_size: Sub-volumes in a training batch, on each device; 2 without, or as planned.
        num_workers: Processes that prepare training batches.
        seed: Seed of the order, the places and the changes of the sub-volumes; the split does
            not depend on it.
        split: ``standard``, or ``all`` to make every volume test data.
        label_names: The classes' names, background first; those of ``dataset.json`` or numbers
            without.
        labels: The class of each value in the label maps, such as {0: 0, 255: 1}; several values
            may be one class; -1 says that such voxels are not counted, in the loss nor in
            metrics. Without, values are classes.
        test_fraction: Share of the volumes, the last by name, that is test data. Not used where
            there is a folder ``test``.
        val_fraction: Share of the others held out for validation; 0 for none. Not used where
            there is a folder ``val``.
        patch_size: Length of every axis of a sub-volume (D, H, W: inferior to superior,
            posterior to anterior, left to right); 32 without, or as planned.
        patches_per_volume: Sub-volumes of each volume in an epoch.
        curriculum: Stages of training before that on ``patch_size``, [epochs, *size] each, such
            as [[3000, 8, 64, 64], [2000, 15, 128, 128]].
        crop_centers: Where sub-volumes are cut: ``balanced`` (around a voxel of each class equally
            often; so without), ``foreground`` (a third around foreground, the others anywhere; so
            planned) or ``uniform``.
        flips: Axes (0 to 2, of D, H, W) that are mirrored in half of the sub-volumes.
        rotate90: Random quarter turns in the plane of the last two axes.
        rotation: Largest random turn in that plane, in degrees, of half of the sub-volumes.
        intensity: Largest random change of contrast (relative) and of brightness (in standard
            deviations), each of half of the sub-volumes.
        noise: Largest standard deviation of random noise, in half of the sub-volumes.
        spacing: Voxel edges (D, H, W) in mm that all volumes are resampled to; without, the
            median of the training volumes.
        normalize_by: Mean and standard deviation are those of each ``volume`` or ``slice``, or of
            the voxels of a volume that are not 0 (``nonzero``).
        memory_mb: What is larger than this, once read, lies in temporary files.
        plan: ``auto`` chooses by the training volumes, as nnU-Net does, what is not given of
            batch_size, patch_size, spacing, intensities, crop_centers, flips and augment, and
            writes it into the recipe (``zoo train RECIPE --print-config`` shows it).
        intensities: Of each channel [low, high, mean, standard deviation] of gray values: it is
            clipped to the first two and normalized by the others; null, and all channels without,
            by each volume's own mean and standard deviation. Planned for channels called CT.
        augment: ``nnunet`` changes sub-volumes as nnU-Net does (turns, scaling, deformation, noise,
            blur, brightness, contrast, low resolution, gamma), besides the changes above; ``none``
            does not.
    """

    keep_best = True

    def __init__(
        self,
        root: str = "data/volume-folder",
        batch_size: int | None = None,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        label_names: list[str] | None = None,
        labels: dict[str, int] | None = None,
        test_fraction: float = 0.2,
        val_fraction: float = 0.1,
        patch_size: list[int] | None = None,
        patches_per_volume: int = 1,
        curriculum: list[list[int]] | None = None,
        crop_centers: str | None = None,
        flips: list[int] | None = None,
        rotate90: bool = False,
        rotation: float = 0.0,
        intensity: float = 0.0,
        noise: float = 0.0,
        spacing: list[float] | None = None,
        normalize_by: Normalize = "volume",
        memory_mb: int = 4000,
        plan: str | None = None,
        intensities: list[list[float] | None] | None = None,
        augment: str | None = None,
    ) -> None:
        super().__init__(
            root,
            batch_size,
            num_workers,
            seed,
            split,
            patch_size=patch_size,
            patches_per_volume=patches_per_volume,
            curriculum=curriculum or [],
            crop_centers=crop_centers,
            flips=flips,
            rotate90=rotate90,
            rotation=rotation,
            intensity=intensity,
            noise=noise,
            spacing=spacing,
            normalize_by=normalize_by,
            memory_mb=memory_mb,
            plan=plan,
            intensities=intensities,
            augment=augment,
        )
        within("test_fraction", test_fraction, 0, 1, below=True)
        within("val_fraction", val_fraction, 0, 1, below=True)
        if label_names is not None and not 2 <= len(label_names) <= MOST_CLASSES:
            raise UsageError(
                f"label_names is {label_names}; it takes background and at least one, at most "
                f"{MOST_CLASSES} names"
            )
        named = None if label_names is None else len(label_names)
        self.labels = None if labels is None else read_mapping(labels, named)
        self.label_names = label_names
        self.test_fraction = test_fraction
        self.val_fraction = val_fraction

    def _list(self) -> Listing:
        root = Path(self.root)
        if not root.is_dir():
            raise UsageError(
                f"{root} is not a folder; point --data.root at one with images/ and labels/"
            )
        pairs: list[Pair] = []
        parts: list[int] = []
        for images, labels, part in find_folders(root):
            found = find_pairs(images, labels)
            pairs += found
            parts += [part] * len(found)
        listed = parts.count(TRAIN)
        parts = self._parts(parts)
        described = read_description(root) if (root / "imagesTr").is_dir() else None
        names, classes = self._classes([label for _, label in pairs], described)
        channels = _channel_names(pairs, described)
        _compare_count(listed, described)
        cases = [
            Case(label.name, part, partial(read_pair, images, label, len(channels), classes))
            for (images, label), part in zip(pairs, parts, strict=True)
        ]
        return Listing(cases, names, channels, values_of(classes, len(names)))

    def _classes(
        self, labels: Sequence[Path], described: Description | None
    ) -> tuple[list[str], dict[int, int]]:
        """The classes' names, and the class of each value in the label maps."""
        named = described.label_names if described else {}
        if self.labels is not None:
            count = len(self.label_names or range(max(self.labels.values()) + 1))
            values = values_of(self.labels, count) or list(range(count))
            names = [named.get(values[number], _name(number)) for number in range(count)]
            return self.label_names or names, self.labels
        ignored: list[int] = []
        if self.label_names is None and described and named:
            names, ignored = _described_names(described)
        else:
            names = self.label_names or _numbered(labels, self.root)
        classes = {number: number for number in range(len(names))}
        return names, classes | dict.fromkeys(ignored, NOT_COUNTED)

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
        if self.split == "standard" and test and TEST not in result:
            raise UsageError(
                f"{self.root} holds {len(parts)} volume(s), too few to split; add more, or put "
                "them into train/ and test/"
            )
        return result


def _channels(pairs: Sequence[Pair]) -> int:
    """How many channels most images have; the others are refused when they are read."""
    counts: dict[int, int] = {}
    for images, _ in pairs:
        try:
            count = channels_in(images)
        except UsageError:  # said again, with the others, when all are read
            continue
        counts[count] = counts.get(count, 0) + 1
    return max(counts, key=lambda count: counts[count], default=1)


def _name(number: int) -> str:
    return str(number) if number else "background"


def _numbered(labels: Sequence[Path], root: str) -> list[str]:
    """Names for the classes that occur."""
    files = {}
    for path in labels:
        try:
            files[path] = count_values(whole_numbers(label_values(path), path))
        except UsageError:  # said again, with the others, when all are read
            continue
    return [_name(number) for number in range(count_classes(files, root) if files else 2)]


def _described_names(described: Description) -> tuple[list[str], list[int]]:
    """The classes' names by ``dataset.json``, whose numbers have to be 0, 1, 2, ..., and the
    values that are to be ignored.

    Raises:
        UsageError: they are not.
    """
    named = described.label_names
    numbers = sorted(named)
    kept = [number for number in numbers if named[number] != IGNORE]
    offered = {number: index for index, number in enumerate(kept)}
    ignored = [number for number in numbers if number not in offered]
    offered |= dict.fromkeys(ignored, NOT_COUNTED)
    remedy = "--data.labels '{" + ", ".join(f"{v}: {c}" for v, c in offered.items()) + "}'"
    if kept != list(range(len(kept))):
        raise UsageError(
            f"{described.path} numbers its labels {', '.join(map(str, kept))}, not 0, 1, 2, ... "
            f"without a gap; say which class each is: {remedy}"
        )
    if ignored:
        values = ", ".join(map(str, ignored))
        rank_zero_print(
            f"{described.path} names the label {values} {IGNORE!r}: its voxels are not counted, in "
            "the loss nor in metrics"
        )
    return [named[number] for number in kept], ignored


def _channel_names(pairs: Sequence[Pair], described: Description | None) -> list[str]:
    found = _channels(pairs)
    if described is None or not described.channel_names:
        return [f"channel {number}" for number in range(found)]
    names = described.channel_names
    if len(names) != found:
        raise UsageError(
            f"{described.path} names {len(names)} channel(s) ({', '.join(names)}), and the images, "
            f"such as {pairs[0][0][0]}, have {found}; correct the one or add to the other"
        )
    return names


def _compare_count(found: int, described: Description | None) -> None:
    if described and described.training not in (None, found):
        rank_zero_print(
            f"{described.path} says that there are {described.training} training images, and "
            f"there are {found}: some may be missing"
        )
