"""The ISBI 2012 challenge: neuronal membranes in electron microscopy slices."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from zoo.plugin import Fold, FoldSamples, UsageError, at_least
from zoo_segmentation.data.preprocessing import Normalize
from zoo_segmentation.data.stacks import read_stack
from zoo_segmentation.data.volume import Volume
from zoo_segmentation.data.volumes import TEST, TRAIN, VAL, Case, Listing, VolumeDataModule
from zoo_segmentation.memory import format_shape

HOMEPAGE = "https://imagej.net/events/isbi-2012-segmentation-challenge"
IMAGES, LABELS = "train-volume.tif", "train-labels.tif"
MEMBRANE, CELL = 0, 255
"""Values in the publisher's label file."""
SPACING = (50e-6, 4e-6, 4e-6)
"""4x4x50 nm voxels along D, H, W, in mm."""


class ISBI2012(VolumeDataModule):
    """A stack of serial-section electron microscopy of a fly's nerve cord, membranes labelled.

    The labels of the publisher's test volume are not public, so the labelled stack is split: its
    last slices are the test part, and the last ones before them are for validation. Figures on
    it cannot be compared with the challenge's table. Class 0 is cell, class 1 membrane (value 0
    in the publisher's label file).

    Source: Arganda-Carreras et al., Crowdsourcing the creation of image segmentation algorithms
    for connectomics, Frontiers in Neuroanatomy 9, 2015.

    Args:
        root: The folder with ``train-volume.tif`` and ``train-labels.tif``.
        batch_size: Sub-volumes (or parts of slices) in a training batch, on each device.
        num_workers: Processes that prepare training batches.
        seed: Seed of the order, the places and the changes of the sub-volumes.
        split: ``standard``, or ``all`` to make every labelled slice test data.
        slices: Two-dimensional: every slice is an image of its own. Otherwise each part of the
            stack is one volume.
        test_slices: Slices at the end of the stack that are test data.
        val_slices: Slices before them held out for validation; 0 for none.
        patch_size: Length of every axis of a sub-volume (D, H, W), or of a part of a slice
            (H, W); [8, 128, 128] or [128, 128] without.
        patches_per_volume: Sub-volumes of the stack (or parts of each slice) in an epoch; 64
            (or 4) without.
        curriculum: Stages of training before that on ``patch_size``, [epochs, *size] each, such
            as [[3000, 8, 64, 64], [2000, 15, 128, 128]].
        crop_centers: Where sub-volumes are cut: ``balanced`` (around cell and membrane equally
            often) or ``uniform``.
        flips: Axes that are mirrored in half of the sub-volumes.
        rotate90: Random quarter turns within the slices.
        rotation: Largest random turn within the slices, in degrees, of half of the sub-volumes.
        intensity: Largest random change of contrast (relative) and of brightness (in standard
            deviations), each of half of the sub-volumes.
        noise: Largest standard deviation of random noise, in half of the sub-volumes.
        normalize_by: Mean and standard deviation are those of each ``slice`` or ``volume``.
    """

    def __init__(
        self,
        root: str = "data/isbi2012",
        batch_size: int = 1,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        slices: bool = False,
        test_slices: int = 6,
        val_slices: int = 3,
        patch_size: list[int] | None = None,
        patches_per_volume: int | None = None,
        curriculum: list[list[int]] | None = None,
        crop_centers: str = "uniform",
        flips: list[int] | None = None,
        rotate90: bool = False,
        rotation: float = 0.0,
        intensity: float = 0.0,
        noise: float = 0.0,
        normalize_by: Normalize = "slice",
    ) -> None:
        self.spatial_dims = 2 if slices else 3
        super().__init__(
            root,
            batch_size,
            num_workers,
            seed,
            split,
            patch_size=patch_size or ([128, 128] if slices else [8, 128, 128]),
            patches_per_volume=patches_per_volume or (4 if slices else 64),
            curriculum=curriculum or [],
            crop_centers=crop_centers,
            flips=flips or [],
            rotate90=rotate90,
            rotation=rotation,
            intensity=intensity,
            noise=noise,
            normalize_by=normalize_by,
        )
        at_least("test_slices", test_slices, 0)
        at_least("val_slices", val_slices, 0)
        self.slices = slices
        self.test_slices = test_slices
        self.val_slices = val_slices

    def _list(self) -> Listing:
        root = Path(self.root)
        for name in (IMAGES, LABELS):
            if not (root / name).is_file():
                raise UsageError(
                    f"there is no {root / name}; fetch the challenge's files from {HOMEPAGE} or "
                    "point --data.root at the folder that holds them"
                )
        images, labels = read_stack(root / IMAGES), read_stack(root / LABELS)
        if images.shape != labels.shape:
            raise UsageError(
                f"{root / LABELS} has {format_shape(labels.shape)} voxels and {root / IMAGES} "
                f"{format_shape(images.shape)}; they do not belong together"
            )
        strange = np.setdiff1d(labels, (MEMBRANE, CELL))
        if len(strange):
            raise UsageError(
                f"{root / LABELS} holds the value {strange[0]}; labels are {MEMBRANE} (membrane) "
                f"and {CELL} (cell)"
            )
        parts = self._parts(len(images))
        every = np.arange(len(parts))
        ends = every[1:] if self.slices else np.flatnonzero(np.diff(parts)) + 1
        cases = []
        for chosen in np.split(every, ends):
            first, last, part = int(chosen[0]), int(chosen[-1]), parts[chosen[0]]
            name = f"slice {first}" if self.slices else f"slices {first} to {last}"
            image, label = images[first : last + 1], labels[first : last + 1]
            cases.append(Case(name, int(part), partial(self._volume, name, image, label)))
        return Listing(cases, ["cell", "membrane"], ["EM"])

    def _parts(self, count: int) -> np.ndarray:
        """The part of each slice; all are test data with ``split="all"``, in one stack."""
        parts = np.full(count, TRAIN)
        if self.split == "all":
            parts[:] = TEST
            return parts
        train = count - self.test_slices - self.val_slices
        if train < 1:
            raise UsageError(
                f"{Path(self.root) / IMAGES} has {count} slices, of which test_slices="
                f"{self.test_slices} and val_slices={self.val_slices} leave none to train on"
            )
        parts[train:] = VAL
        parts[train + self.val_slices :] = TEST
        if self.fold is not None:
            samples = self._fold_samples(train + self.val_slices)
            parts[: len(samples)] = np.where(self.fold.is_val(samples, self.root), VAL, TRAIN)
        return parts

    def fold_samples(self) -> FoldSamples:
        """The slices before the test part. Neighbors are alike: a fold is a run of them, and what
        is left for training is the stack before and the stack behind it."""
        if self.split == "all":
            return FoldSamples([])
        count = len(read_stack(Path(self.root) / IMAGES))
        return self._fold_samples(count - self.test_slices)

    def _fold_samples(self, count: int) -> FoldSamples:
        return FoldSamples([f"slice {index}" for index in range(count)], ordered=True)

    def _folded(self, cases: list[Case], fold: Fold) -> list[Case]:
        """As they are: ``_list`` has divided the slices."""
        return cases

    def _volume(self, name: str, images: np.ndarray, labels: np.ndarray) -> Volume:
        image = images.astype(np.float32)[None]
        label = (labels == MEMBRANE).astype(np.uint8)
        if self.slices:
            return Volume(name, image[:, 0], label[0], SPACING[1:])
        return Volume(name, image, label, SPACING)
