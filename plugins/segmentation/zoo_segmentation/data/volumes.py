"""What all volume datasets share: reading, checks, normalization, parts, loaders, facts."""

from __future__ import annotations

import logging
import tempfile
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch.utils.data import DataLoader

from zoo.plugin import (
    BaseDataModule,
    Facts,
    Fold,
    FoldSamples,
    Part,
    UsageError,
    at_least,
    one_of,
    rank_zero_print,
    rename_keys,
    require,
)
from zoo_segmentation.data.overview import Seen, doubts, look_at, summary
from zoo_segmentation.data.plan import Foreground, levels, make_plan
from zoo_segmentation.data.preprocessing import (
    Normalize,
    normalize,
    require_resampled,
    resample,
    resample_labels,
    resampled_size,
)
from zoo_segmentation.data.sampling import (
    Patches,
    PatchLoader,
    Sample,
    WholeVolumeDataset,
    augmentation,
    collate,
)
from zoo_segmentation.data.volume import Volume

log = logging.getLogger(__name__)

TRAIN, VAL, TEST = 0, 1, 2
CODES: dict[Part, int] = {"train": TRAIN, "val": VAL, "test": TEST}
"""The parts as cases name them."""

PLANS = ("auto",)
CENTERS = ("balanced", "foreground", "uniform")
AUGMENTATIONS = ("none", "nnunet")

SPLIT_SEED = 20150624
"""The validation part is the same in every run, whatever the recipe's seed."""


@dataclass(frozen=True)
class Case:
    """One image of a dataset, not yet read.

    Attributes:
        name: What to call it.
        part: `TRAIN`, `VAL` or `TEST`.
        read: Gives the volume as its file has it: image float32 (C, *spatial), not normalized.
            Raises UsageError, naming the file, if it cannot be used.
    """

    name: str
    part: int
    read: Callable[[], Volume]


@dataclass(frozen=True)
class Listing:
    """What there is under a root.

    Attributes:
        cases: In the publisher's order.
        label_names: The classes' names, background first.
        channel_names: The channels' names.
        label_values: The value of each class in the label maps; None where it is the class.
    """

    cases: list[Case]
    label_names: list[str]
    channel_names: list[str]
    label_values: list[int] | None = None


def parts_of(count: int, test_fraction: float, val_fraction: float) -> list[int]:
    """Parts of ``count`` sorted cases: the last are test data, and of the others a fixed choice
    is the validation part.

    Args:
        count: How many there are.
        test_fraction: Share of all, at the end.
        val_fraction: Share of the rest, chosen by a constant seed; at least one if above 0.
    """
    train = count - round(count * test_fraction)
    parts = np.full(count, TEST)
    parts[:train] = TRAIN
    if val_fraction and train > 1:
        chosen = min(max(1, round(train * val_fraction)), train - 1)
        parts[np.random.default_rng(SPLIT_SEED).permutation(train)[:chosen]] = VAL
    return [int(part) for part in parts]


class VolumeDataModule(BaseDataModule[list[Volume]]):
    """Base of the volume datasets: a subclass says in `_list` what there is and how to read it.

    A training batch is ``{"image": float32 (N, C, *spatial), "label": int64 (N, 1, *spatial)}``;
    one of validation and test is a whole volume, N = 1, with ``spacing`` (float32 (1, dims), mm)
    ``name`` and ``oriented`` (lists of one). All volumes are read, checked, resampled and
    normalized before the first step.

    Args:
        root: Where the files are.
        batch_size: Sub-volumes in a training batch, on each device.
        num_workers: Processes that prepare training batches.
        seed: Seed of the order, the places and the changes of the sub-volumes.
        split: ``standard``, or ``all`` to make everything found the test part.
        patch_size: Length of every spatial axis of a sub-volume.
        patches_per_volume: Sub-volumes of each volume in an epoch.
        curriculum: Stages before ``patch_size``, [epochs, *size] each.
        crop_centers: Where sub-volumes are cut: ``balanced``, ``foreground`` or ``uniform``.
        flips: Spatial axes that are mirrored at random.
        rotate90: Random quarter turns in the plane of the last two axes.
        rotation: Largest random turn in that plane, in degrees.
        intensity: Strength of random changes of contrast and brightness.
        noise: Largest standard deviation of random noise.
        spacing: Voxel edges that all volumes are resampled to, in mm; without, the median of
            the training volumes.
        normalize_by: Mean and standard deviation are those of each ``volume`` or ``slice``, or of
            the voxels of a volume that are not 0 (``nonzero``).
        memory_mb: What is larger than this, once read, lies in temporary files.
        plan: ``auto``: what is None of ``batch_size``, ``patch_size``, ``spacing``,
            ``intensities``, ``crop_centers``, ``flips`` and ``augment`` is chosen by the training
            volumes, see `zoo_segmentation.data.plan`.
        intensities: Of each channel [low, high, mean, standard deviation] to clip and normalize
            by, or None for the volume's own mean and standard deviation.
        augment: ``nnunet``: random changes of nnU-Net's kinds and strength, besides the others.

    Raises:
        UsageError: an argument is out of its range.
    """

    sample_name = "volume"
    spatial_dims = 3

    def __init__(
        self,
        root: str,
        batch_size: int | None,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        *,
        patch_size: Sequence[int] | None = (32, 32, 32),
        patches_per_volume: int = 1,
        curriculum: Sequence[Sequence[int]] = (),
        crop_centers: str | None = "balanced",
        flips: Sequence[int] | None = (),
        rotate90: bool = False,
        rotation: float = 0.0,
        intensity: float = 0.0,
        noise: float = 0.0,
        spacing: Sequence[float] | None = None,
        normalize_by: Normalize = "volume",
        memory_mb: int = 4000,
        plan: str | None = None,
        intensities: Sequence[Sequence[float] | None] | None = None,
        augment: str | None = None,
    ) -> None:
        # What the plan chooses has a stand-in until the data are read.
        self.plan = plan
        self._asked: dict[str, Any] = {
            "batch_size": batch_size,
            "patch_size": patch_size,
            "spacing": spacing,
            "intensities": intensities,
            "crop_centers": crop_centers,
            "flips": flips,
            "augment": augment,
        }
        batch_size = 2 if batch_size is None else batch_size
        super().__init__(root, batch_size, num_workers, seed, split)
        dims = self.spatial_dims
        patch_size = (32,) * dims if patch_size is None else patch_size
        crop_centers, flips = crop_centers or "balanced", flips or ()
        if plan is not None:
            one_of("plan", plan, PLANS)
        if augment is not None:
            one_of("augment", augment, AUGMENTATIONS)
            require(
                dims == 3 or augment == "none",
                "augment nnunet is for volumes; omit it for slices",
            )
        _check_intensities(intensities)
        at_least("patches_per_volume", patches_per_volume, 1)
        for name, strength in (("rotation", rotation), ("intensity", intensity), ("noise", noise)):
            at_least(name, strength, 0)
        one_of("crop_centers", crop_centers, CENTERS)
        one_of("normalize_by", normalize_by, get_args(Normalize))
        _check_sizes(patch_size, curriculum, dims, rotate90)
        require(
            all(axis in range(dims) for axis in flips),
            f"flips is {list(flips)}; it takes axes from 0 to {dims - 1}",
        )
        require(
            spacing is None or (len(spacing) == dims and min(spacing) > 0),
            f"spacing is {spacing}; it takes {dims} lengths in mm, above 0",
        )
        self.patch_size = [int(length) for length in patch_size]
        self.patches_per_volume = patches_per_volume
        self.curriculum = [[int(number) for number in stage] for stage in curriculum]
        self.crop_centers = crop_centers
        self.flips = list(flips)
        self.rotate90 = rotate90
        self.rotation = rotation
        self.intensity = intensity
        self.noise = noise
        self.spacing = None if spacing is None else [float(edge) for edge in spacing]
        self.normalize_by: Normalize = normalize_by
        self.memory_mb = memory_mb
        self.intensities = (
            None
            if intensities is None
            else [
                None if four is None else [float(value) for value in four] for four in intensities
            ]
        )
        self.augment = augment or "none"
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._loaded: tuple[dict[int, list[Volume]], Facts] | None = None
        self._topology: dict[str, Any] | None = None
        self._found: list[str] = []

    @classmethod
    def upgrade_arguments(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        """Arguments that zoo 0.1.0 saved, under today's names."""
        return rename_keys(arguments, {"centres": "crop_centers", "normalise_by": "normalize_by"})

    @abstractmethod
    def _list(self) -> Listing:
        """Find the cases under ``root``; called once.

        Raises:
            UsageError: something is missing or inconsistent.
        """

    def _preprocess(self, image: np.ndarray) -> np.ndarray:
        """From a file's (C, *spatial) values to the model's, at the training spacing."""
        return normalize(image, self.normalize_by, self.intensities)

    def _describe_preprocessing(self) -> dict[str, Any]:
        """What prediction on a user's file has to repeat."""
        learned: dict[str, Any] = {"normalize_by": self.normalize_by}
        if self.intensities is not None:
            learned["intensities"] = self.intensities
        if self.flips:
            learned["mirrored"] = self.flips
        return learned

    def _read(self) -> tuple[dict[int, list[Volume]], Facts]:
        if self._loaded is None:
            listing = self._list()
            cases = listing.cases
            if self.split == "all":
                cases = [Case(case.name, TEST, case.read) for case in cases]
            elif self.fold is not None:
                cases = self._folded(cases, self.fold)
            names = listing.label_names
            foreground = Foreground() if self.plan is not None else None
            read, seen = _read_all(cases, self.memory_mb * 1e6, len(names), foreground)
            self._found = [summary(self.root, seen, names, self.sample_name)]
            for doubt in doubts(seen, names, self.sample_name):
                rank_zero_print(f"{self.root}: {doubt}")
            measured = [one.spacing for one in seen if one.part == TRAIN]
            measured = measured or [one.spacing for one in seen if one.part == TEST]
            if foreground is not None and any(one.part == TRAIN for one in seen):
                self._choose([one for one in seen if one.part == TRAIN], listing, foreground)
            # Rounded, so that it reads well, and once: every volume is compared with this.
            spacing = self.spacing or [float(f"{edge:.6g}") for edge in np.median(measured, axis=0)]
            volumes: dict[int, list[Volume]] = {TRAIN: [], VAL: [], TEST: []}
            used = 0.0
            for index, case in enumerate(cases):
                volume = self._ready(read.pop(index) if index in read else case.read(), spacing)
                used += volume.image.nbytes + volume.label.nbytes
                if used > self.memory_mb * 1e6:
                    volume = self._on_disk(volume, index)
                volumes[case.part].append(volume)
            sizes = [volume.label.shape for volume in volumes[TRAIN] or volumes[TEST]]
            facts: Facts = {
                "num_classes": len(listing.label_names),
                "in_channels": len(listing.channel_names),
                "spatial_dims": self.spatial_dims,
                "label_names": listing.label_names,
                "channel_names": listing.channel_names,
                "spacing": spacing,
                "image_size": [int(length) for length in np.median(sizes, axis=0)],
                "patch_size": self.patch_size,
                "train_size": len(volumes[TRAIN]) * self.patches_per_volume,
                "train_volumes": len(volumes[TRAIN]),
                "preprocessing": self._describe_preprocessing(),
                "restarts": list(accumulate(stage[0] for stage in self.curriculum)),
            }
            if listing.label_values is not None:
                facts["label_values"] = listing.label_values
            if self._topology is not None:
                facts["topology"] = self._topology
            self._loaded = volumes, facts
        return self._loaded

    def _choose(self, training: Sequence[Seen], listing: Listing, foreground: Foreground) -> None:
        """Settle what the plan is to choose and nobody has given."""
        asked = self._asked
        device = "gpu" if torch.cuda.is_available() else "cpu"
        names = listing.channel_names, listing.label_names
        plan = make_plan(training, *names, foreground, device, asked["spacing"])
        if asked["patch_size"] is not None:
            self._topology = levels(self.patch_size, plan.spacing)
        else:
            self.patch_size, self._topology = plan.patch_size, plan.topology
        if asked["batch_size"] is None:
            self.batch_size = plan.batch_size
        if asked["intensities"] is None:
            self.intensities = plan.intensities
        if asked["crop_centers"] is None:
            self.crop_centers = "foreground"
        # Changes that were given are not made twice.
        if asked["augment"] is None and not (self.rotate90 or self.rotation or self.intensity):
            self.augment = "nnunet"
        if asked["flips"] is None:
            self.flips = plan.flips
        self.spacing = plan.spacing

    @property
    def planned_arguments(self) -> dict[str, Any]:
        """What was chosen by the data, and what was given; nothing without a plan."""
        if self.plan is None:
            return {}
        _ = self.facts
        return {name: getattr(self, name) for name in self._asked}

    def fold_samples(self) -> FoldSamples:
        """The volumes of the training and the validation part."""
        return FoldSamples([] if self.split == "all" else _pool_names(self._list().cases))

    def _folded(self, cases: list[Case], fold: Fold) -> list[Case]:
        """The cases with training and validation divided as a fold says.

        Raises:
            OtherDataError: the cases are not those of the fold.
        """
        chosen = iter(fold.is_val(FoldSamples(_pool_names(cases)), self.root))
        return [
            case if case.part == TEST else replace(case, part=VAL if next(chosen) else TRAIN)
            for case in cases
        ]

    def _ready(self, volume: Volume, spacing: Sequence[float]) -> Volume:
        """The volume at the training spacing, normalized."""
        size = resampled_size(volume.label.shape, volume.spacing, spacing)
        name = f"{self.root}: {volume.name}"
        require_resampled(name, size, volume.spacing, spacing, len(volume.image))
        image = self._preprocess(resample(volume.image, size))
        label = resample_labels(volume.label, size)
        edges = tuple(
            edge * old / new
            for edge, old, new in zip(volume.spacing, volume.label.shape, size, strict=True)
        )
        return Volume(volume.name, image, label, edges, oriented=volume.oriented)

    def _on_disk(self, volume: Volume, index: int) -> Volume:
        """The volume memory-mapped from files that go with this datamodule."""
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="zoo-volumes-")
            log.info("Volumes beyond %d MB lie in %s", self.memory_mb, self._scratch.name)
        kept = []
        for kind, array in (("image", volume.image), ("label", volume.label)):
            path = Path(self._scratch.name) / f"{index}-{kind}.npy"
            np.save(path, array)
            kept.append(np.load(path, mmap_mode="r"))
        return replace(volume, image=kept[0], label=kept[1])

    @property
    def facts(self) -> Facts:
        """``num_classes`` (background included), ``in_channels``, ``spatial_dims``,
        ``label_names`` (background first), ``channel_names``, ``spacing`` (of training, mm),
        ``image_size`` (median, voxels), ``patch_size``, ``train_size`` (sub-volumes in an
        epoch), ``train_volumes``, ``preprocessing`` and ``restarts`` (the epochs at which the
        curriculum's later stages begin); and, where label maps hold other values than classes,
        ``label_values`` (of each class).
        """
        return dict(self._read()[1])

    def describe_found(self) -> list[str]:
        """How many volumes of what size, in which parts, and the voxels of each class."""
        self._read()
        return list(self._found)

    def samples(self, part: Part) -> list[Volume]:
        """The volumes of a part, ready for a model."""
        return self._read()[0][CODES[part]]

    def train_loader(self, samples: list[Volume]) -> DataLoader[Sample]:
        """Random sub-volumes."""
        changes = augmentation(
            self.flips,
            self.rotate90,
            self.rotation,
            self.intensity,
            self.noise,
            self.spatial_dims,
            self.patch_size if self.augment == "nnunet" else None,
        )
        data = Patches(
            samples,
            self.patch_size,
            self.patches_per_volume,
            self.crop_centers,
            changes,
            self.seed,
            self.curriculum,
        )
        return self.loader(
            data,
            kind=PatchLoader,
            shuffle=True,
            # Steps of one size: a captured scan need not be captured again.
            drop_last=len(data) >= self.batch_size,
            collate_fn=collate,
        )

    def eval_loader(self, samples: list[Volume]) -> DataLoader[Sample]:
        """Whole volumes, one at a time."""
        return self.loader(WholeVolumeDataset(samples), 1, num_workers=0, collate_fn=collate)


def _check_intensities(intensities: Sequence[Sequence[float] | None] | None) -> None:
    for four in intensities or ():
        require(
            four is None or (len(four) == 4 and four[0] < four[1] and four[3] > 0),
            f"intensities has {four}; of each channel it takes [low, high, mean, standard "
            "deviation], or null",
        )


def _pool_names(cases: Sequence[Case]) -> list[str]:
    return [case.name for case in cases if case.part != TEST]


def _check_sizes(
    patch_size: Sequence[int], curriculum: Sequence[Sequence[int]], dims: int, rotate90: bool
) -> None:
    require(
        len(patch_size) == dims and min(patch_size) >= 1,
        f"patch_size is {list(patch_size)}; it takes {dims} lengths in voxels",
    )
    require(
        all(len(stage) == dims + 1 and min(stage) >= 1 for stage in curriculum),
        f"curriculum is {[list(stage) for stage in curriculum]}; each of its stages takes a "
        f"number of epochs and {dims} lengths in voxels",
    )
    for size in (patch_size, *curriculum):
        require(
            not rotate90 or size[-1] == size[-2],
            f"rotate90 turns sub-volumes of {size[-2]}x{size[-1]} voxels into another shape; "
            "make the last two lengths of every size equal",
        )


def _read_all(
    cases: Sequence[Case], memory: float, classes: int, foreground: Foreground | None = None
) -> tuple[dict[int, Volume], list[Seen]]:
    """Read every case: those that fit into ``memory`` bytes, and what was seen of all.

    Raises:
        UsageError: naming what is wrong with the first, and the others by name.
    """
    volumes: dict[int, Volume] = {}
    seen: list[Seen] = []
    problems: dict[str, str] = {}
    used = 0.0
    for index, case in enumerate(cases):
        try:
            volume = case.read()
        except UsageError as error:
            problems[case.name] = str(error)
            continue
        seen.append(look_at(volume, case.part, classes))
        if foreground is not None and case.part == TRAIN:
            foreground.look_at(volume)
        used += volume.image.nbytes + volume.label.nbytes
        if used <= memory:
            volumes[index] = volume
    if problems:
        first, *others = problems
        named = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
        more = f" (and {len(others)} more cannot be used: {named})" if others else ""
        raise UsageError(problems[first] + more)
    return volumes, seen
