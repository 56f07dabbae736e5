"""What all volume datasets share: reading, checks, normalization, parts, loaders, facts."""

from __future__ import annotations

import logging
import tempfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from zoo.plugin import Facts, ResumableLoader, UsageError, rename_keys
from zoo_segmentation.data.preprocessing import (
    Normalize,
    normalize,
    resample,
    resample_labels,
    resampled_size,
)
from zoo_segmentation.data.sampling import (
    Patches,
    PatchLoader,
    Sample,
    Volume,
    Wholes,
    augmentation,
    collate,
)

log = logging.getLogger(__name__)

TRAIN, VAL, TEST = 0, 1, 2

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
    """What was found under a root.

    Attributes:
        cases: In the publisher's order.
        label_names: The classes' names, background first.
        channel_names: The channels' names.
    """

    cases: list[Case]
    label_names: list[str]
    channel_names: list[str]


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


class VolumeDataModule(LightningDataModule, ABC):
    """Base of the volume datasets: a subclass says in `_list` what there is and how to read it.

    A training batch is ``{"image": float32 (N, C, *spatial), "label": int64 (N, 1, *spatial)}``;
    one of validation and test is a whole volume, N = 1, with ``spacing`` (float32 (1, dims), mm)
    and ``name`` (a list of one). All volumes are read, checked, resampled and normalized before
    the first step.

    Args:
        root: Where the files are.
        batch_size: Sub-volumes in a training batch, on each device.
        num_workers: Processes that prepare training batches.
        seed: Seed of the order, the places and the changes of the sub-volumes.
        split: ``standard``, or ``all`` to make everything found the test part.
        patch_size: Length of every spatial axis of a sub-volume.
        patches_per_volume: Sub-volumes of each volume in an epoch.
        curriculum: Stages before ``patch_size``, [epochs, *size] each.
        crop_centers: Where sub-volumes are cut: ``balanced`` or ``uniform``.
        flips: Spatial axes that are mirrored at random.
        rotate90: Random quarter turns in the plane of the last two axes.
        rotation: Largest random turn in that plane, in degrees.
        intensity: Strength of random changes of contrast and brightness.
        noise: Largest standard deviation of random noise.
        spacing: Voxel edges that all volumes are resampled to, in mm; without, the median of
            the training volumes.
        normalize_by: Mean and standard deviation are those of each ``volume`` or ``slice``.
        memory_mb: What is larger than this, once read, lies in temporary files.

    Raises:
        UsageError: an argument is out of its range.
    """

    spatial_dims = 3

    def __init__(
        self,
        root: str,
        batch_size: int,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        *,
        patch_size: Sequence[int] = (32, 32, 32),
        patches_per_volume: int = 1,
        curriculum: Sequence[Sequence[int]] = (),
        crop_centers: str = "balanced",
        flips: Sequence[int] = (),
        rotate90: bool = False,
        rotation: float = 0.0,
        intensity: float = 0.0,
        noise: float = 0.0,
        spacing: Sequence[float] | None = None,
        normalize_by: Normalize = "volume",
        memory_mb: int = 4000,
    ) -> None:
        super().__init__()
        dims = self.spatial_dims
        _require(split in ("standard", "all"), f"split {split!r} is neither 'standard' nor 'all'")
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("num_workers", num_workers, 0),
            ("patches_per_volume", patches_per_volume, 1),
            ("rotation", rotation, 0),
            ("intensity", intensity, 0),
            ("noise", noise, 0),
        ):
            _require(value >= least, f"{name} is {value}; it must be {least} or more")
        _require(
            len(patch_size) == dims and min(patch_size) >= 1,
            f"patch_size is {list(patch_size)}; it takes {dims} lengths in voxels",
        )
        _require(
            crop_centers in ("balanced", "uniform"),
            f"crop_centers {crop_centers!r} is neither 'balanced' nor 'uniform'",
        )
        _require(
            all(axis in range(dims) for axis in flips),
            f"flips is {list(flips)}; it takes axes from 0 to {dims - 1}",
        )
        _require(
            spacing is None or (len(spacing) == dims and min(spacing) > 0),
            f"spacing is {spacing}; it takes {dims} lengths in mm, above 0",
        )
        _require(
            normalize_by in ("volume", "slice"),
            f"normalize_by {normalize_by!r} is neither 'volume' nor 'slice'",
        )
        _require(
            all(len(stage) == dims + 1 and min(stage) >= 1 for stage in curriculum),
            f"curriculum is {[list(stage) for stage in curriculum]}; each of its stages takes a "
            f"number of epochs and {dims} lengths in voxels",
        )
        for size in (patch_size, *curriculum):
            _require(
                not rotate90 or size[-1] == size[-2],
                f"rotate90 turns sub-volumes of {size[-2]}x{size[-1]} voxels into another shape; "
                "make the last two lengths of every size equal",
            )
        self.root = root
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.split = split
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
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._found: tuple[dict[int, list[Volume]], Facts] | None = None

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
        return normalize(image, self.normalize_by)

    def _describe_preprocessing(self) -> dict[str, Any]:
        """What prediction on a user's file has to repeat."""
        return {"normalize_by": self.normalize_by}

    def _read(self) -> tuple[dict[int, list[Volume]], Facts]:
        if self._found is None:
            listing = self._list()
            cases = listing.cases
            if self.split == "all":
                cases = [Case(case.name, TEST, case.read) for case in cases]
            read, spacings = _read_all(cases, self.memory_mb * 1e6)
            parts = np.array([case.part for case in cases])
            training = parts == TRAIN
            measured = np.array(spacings)[training if training.any() else parts == TEST]
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
            self._found = volumes, facts
        return self._found

    def _ready(self, volume: Volume, spacing: Sequence[float]) -> Volume:
        """The volume at the training spacing, normalized."""
        size = resampled_size(volume.label.shape, volume.spacing, spacing)
        image = self._preprocess(resample(volume.image, size))
        label = resample_labels(volume.label, size)
        edges = tuple(
            edge * old / new
            for edge, old, new in zip(volume.spacing, volume.label.shape, size, strict=True)
        )
        return Volume(volume.name, image, label, edges)

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
        return Volume(volume.name, kept[0], kept[1], volume.spacing)

    @property
    def facts(self) -> Facts:
        """``num_classes`` (background included), ``in_channels``, ``spatial_dims``,
        ``label_names`` (background first), ``channel_names``, ``spacing`` (of training, mm),
        ``image_size`` (median, voxels), ``patch_size``, ``train_size`` (sub-volumes in an
        epoch), ``train_volumes``, ``preprocessing`` and ``restarts`` (the epochs at which the
        curriculum's later stages begin).
        """
        return dict(self._read()[1])

    def setup(self, stage: str | None = None) -> None:
        """Read and check everything, unless that has been done."""
        self._read()

    def train_dataloader(self) -> DataLoader[Sample]:
        """Random sub-volumes."""
        volumes = self._part(TRAIN)
        changes = augmentation(
            self.flips,
            self.rotate90,
            self.rotation,
            self.intensity,
            self.noise,
            self.spatial_dims,
        )
        data = Patches(
            volumes,
            self.patch_size,
            self.patches_per_volume,
            self.crop_centers,
            changes,
            self.seed,
            self.curriculum,
        )
        return PatchLoader(
            data,
            self.batch_size,
            seed=self.seed,
            # Steps of one size: a captured scan need not be captured again.
            drop_last=len(data) >= self.batch_size,
            collate_fn=collate,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=self._on_gpu(),
        )

    def val_dataloader(self) -> DataLoader[Sample] | list[DataLoader[Sample]]:
        """Whole volumes; with no validation part, an empty list: Lightning then skips it."""
        if self._read()[0][VAL]:
            return self._wholes(VAL)
        # Lightning warns of an empty list, in case it came about by accident.
        warnings.filterwarnings("ignore", "Total length of `list` across ranks is zero")
        return []

    def test_dataloader(self) -> DataLoader[Sample]:
        """Whole volumes."""
        return self._wholes(TEST)

    def predict_dataloader(self) -> DataLoader[Sample]:
        """Whole volumes, of the test part."""
        return self._wholes(TEST)

    def _wholes(self, part: int) -> DataLoader[Sample]:
        return ResumableLoader(
            Wholes(self._part(part)),
            batch_size=1,
            shuffle=False,
            collate_fn=collate,
            pin_memory=self._on_gpu(),
        )

    def _part(self, part: int) -> list[Volume]:
        volumes = self._read()[0][part]
        if not volumes:
            name = {TRAIN: "training", VAL: "validation", TEST: "test"}[part]
            raise UsageError(
                f"{self.root}: with split={self.split!r} no volume is in the {name} part"
            )
        return volumes

    def _on_gpu(self) -> bool:
        trainer = self.trainer
        return trainer is not None and trainer.strategy.root_device.type == "cuda"


def check_fractions(**fractions: float) -> None:
    """Refuse fractions below 0, or of 1 and more.

    Raises:
        UsageError: naming the argument.
    """
    for name, value in fractions.items():
        _require(0 <= value < 1, f"{name} is {value:g}; it must be at least 0 and below 1")


def _require(held: bool, otherwise: str) -> None:
    if not held:
        raise UsageError(otherwise)


def _read_all(
    cases: Sequence[Case], memory: float
) -> tuple[dict[int, Volume], list[tuple[float, ...]]]:
    """Read every case: those that fit into ``memory`` bytes, and the spacings of all.

    Raises:
        UsageError: naming what is wrong with the first, and the others by name.
    """
    volumes: dict[int, Volume] = {}
    spacings: list[tuple[float, ...]] = []
    problems: dict[str, str] = {}
    used = 0.0
    for index, case in enumerate(cases):
        try:
            volume = case.read()
        except UsageError as error:
            problems[case.name] = str(error)
            continue
        spacings.append(volume.spacing)
        used += volume.image.nbytes + volume.label.nbytes
        if used <= memory:
            volumes[index] = volume
    if problems:
        first, *others = problems
        more = f" (and {len(others)} more cannot be used: {_listed(others)})" if others else ""
        raise UsageError(problems[first] + more)
    return volumes, spacings


def _listed(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
