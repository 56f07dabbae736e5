"""Sub-volumes cut from volumes in memory, and their augmentation, on MONAI's transforms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from monai.transforms import (
    Compose,
    RandGaussianNoised,
    RandRotate90d,
)
from monai.transforms.utils import generate_label_classes_crop_centers, map_classes_to_indices
from torch import Tensor
from torch.utils.data import Dataset

from zoo.plugin import EpochSampler, ResumableLoader
from zoo_segmentation.data.nnunet_augmentation import nnunet_changes
from zoo_segmentation.data.quick_changes import Flip, Scale, Shift, Turn, plain
from zoo_segmentation.data.volume import IGNORED, Volume

Sample = dict[str, Any]
FOREGROUND = 1 / 3
"""Of the sub-volumes, how many are around foreground, with ``foreground``; nnU-Net's share."""
CENTERS_KEPT = 5000
"""Voxels of each class in each volume that a sub-volume may be centered at."""


def pad_to(array: Tensor, size: Sequence[int]) -> Tensor:
    """Pad the trailing axes with zeros, the same on both sides, to at least ``size``."""
    short = [max(0, target - there) for target, there in zip(size, array.shape[1:], strict=True)]
    if not any(short):
        return array
    pads = [side for gap in reversed(short) for side in (gap // 2, gap - gap // 2)]
    return F.pad(array, pads)


def augmentation(
    flips: Sequence[int],
    rotate90: bool,
    rotation: float,
    intensity: float,
    noise: float,
    spatial_dims: int,
    nnunet: Sequence[int] | None = None,
) -> Compose | None:
    """Random changes of a sample, or None if none is asked for.

    Args:
        flips: Spatial axes, each mirrored in half of the samples.
        rotate90: Turn by 0, 90, 180 or 270 degrees in the plane of the last two axes.
        rotation: Half of the samples are turned in that plane by up to so many degrees, either
            way, to the nearest voxel.
        intensity: Largest relative change of contrast, and change of brightness in standard
            deviations; of half of the samples each.
        noise: Largest standard deviation of the Gaussian noise added to half of the samples.
        spatial_dims: 2 or 3.
        nnunet: The sub-volumes' size where they are changed as nnU-Net changes them too.
    """
    if nnunet is not None:
        others = augmentation((), rotate90, rotation, intensity, noise, spatial_dims)
        return Compose([*nnunet_changes(nnunet, flips), *(others.transforms if others else ())])
    both, image = ["image", "label"], ["image"]
    plane = (spatial_dims - 2, spatial_dims - 1)
    steps: list[Any] = [Flip(both, prob=0.5, spatial_axis=axis) for axis in flips]
    if rotate90:
        steps.append(RandRotate90d(both, prob=0.75, max_k=3, spatial_axes=plane))
    if rotation:
        # MONAI's first angle turns around the first of three axes, or within the two.
        steps.append(
            Turn(
                both,
                range_x=np.deg2rad(rotation),
                prob=0.5,
                mode="nearest",
                padding_mode="reflection",
            )
        )
    if intensity:
        steps.append(Scale(image, factors=intensity, prob=0.5))
        steps.append(Shift(image, offsets=intensity, prob=0.5))
    if noise:
        steps.append(RandGaussianNoised(image, prob=0.5, std=noise))
    return Compose(steps) if steps else None


class Patches(Dataset[Sample]):
    """Random sub-volumes, all of one size; volumes that are smaller are padded with zeros.

    What is cut and how it is changed depends on (seed, epoch, index) alone, in any process and
    wherever an epoch is taken up again.

    Args:
        volumes: What to cut from.
        size: Length of every spatial axis of a sub-volume.
        per_volume: Sub-volumes of each volume in an epoch.
        crop_centers: ``balanced`` centers each at a voxel of a class, every class of the
            volume equally often; ``uniform`` cuts anywhere; ``foreground`` centers a third at a
            voxel of a class other than background, every class equally often, and cuts the
            others anywhere.
        augment: Random changes, see `augmentation`.
        seed: Seed of all of it.
        curriculum: Stages before, ``(epochs, *size)`` each: so many epochs of that size.
    """

    def __init__(
        self,
        volumes: Sequence[Volume],
        size: Sequence[int],
        per_volume: int,
        crop_centers: str = "balanced",
        augment: Compose | None = None,
        seed: int = 0,
        curriculum: Sequence[Sequence[int]] = (),
    ) -> None:
        self.volumes = volumes
        self.last_size = tuple(size)
        self.curriculum = curriculum
        self.per_volume = per_volume
        self.augment = augment
        self.seed = seed
        self.epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        """Set by the loader before an epoch; worker processes read it."""
        self.sometimes = crop_centers == "foreground"
        self.crop_centers: list[list[np.ndarray]] = [
            [] if crop_centers == "uniform" else _centers(volume.label, self.sometimes)
            for volume in volumes
        ]

    @property
    def size(self) -> tuple[int, ...]:
        """Length of every spatial axis of a sub-volume in this epoch."""
        epoch = int(self.epoch)
        for epochs, *size in self.curriculum:
            if epoch < epochs:
                return tuple(size)
            epoch -= epochs
        return self.last_size

    def __len__(self) -> int:
        return len(self.volumes) * self.per_volume

    def __getitem__(self, index: int) -> Sample:
        number = index // self.per_volume
        volume = self.volumes[number]
        entropy = np.random.SeedSequence([self.seed, int(self.epoch), index])
        random = np.random.RandomState(np.random.MT19937(entropy))
        place = self._place(volume.label.shape, self.crop_centers[number], random)
        image = torch.tensor(volume.image[(slice(None), *place)])
        label = torch.tensor(volume.label[place]).unsqueeze(0)
        size = self.size
        sample: Sample = {"image": pad_to(image, size), "label": pad_to(label, size)}
        if self.augment is not None:
            sample = self.augment.set_random_state(state=random)(sample)
        return {"image": plain(sample["image"]), "label": plain(sample["label"]).long()}

    def _place(
        self, shape: Sequence[int], crop_centers: list[np.ndarray], random: np.random.RandomState
    ) -> tuple[slice, ...]:
        """Where to cut; the whole of an axis that is shorter than the sub-volume."""
        size = [min(target, there) for target, there in zip(self.size, shape, strict=True)]
        if self.sometimes and random.uniform() >= FOREGROUND:
            crop_centers = []
        if crop_centers:
            (center,) = generate_label_classes_crop_centers(
                size, 1, shape, crop_centers, rand_state=random, allow_smaller=False, warn=False
            )
            starts = [int(c) - length // 2 for c, length in zip(center, size, strict=True)]
        else:
            starts = [
                int(random.randint(there - length + 1))
                for there, length in zip(shape, size, strict=True)
            ]
        return tuple(
            slice(start, start + length) for start, length in zip(starts, size, strict=True)
        )


class WholeVolumeDataset(Dataset[Sample]):
    """Whole volumes, for validation and test: a sample has ``spacing``, ``name``
    and ``oriented`` too.

    Args:
        volumes: The volumes.
    """

    def __init__(self, volumes: Sequence[Volume]) -> None:
        self.volumes = volumes

    def __len__(self) -> int:
        return len(self.volumes)

    def __getitem__(self, index: int) -> Sample:
        volume = self.volumes[index]
        return {
            "image": torch.tensor(volume.image),
            "label": torch.tensor(volume.label, dtype=torch.int64).unsqueeze(0),
            "spacing": torch.tensor(volume.spacing, dtype=torch.float32),
            "name": volume.name,
            "oriented": volume.oriented,
        }


class PatchLoader(ResumableLoader):
    """A loader that tells `Patches` the epoch."""

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        assert isinstance(self.sampler, EpochSampler)
        assert isinstance(self.dataset, Patches)
        self.dataset.epoch.fill_(self.sampler.epoch)
        yield from super().__iter__()


def _centers(label: np.ndarray, foreground: bool = False) -> list[np.ndarray]:
    """For each class of the volume, flat indices of voxels of that class; of ``foreground``
    without those of background."""
    classes = int(label.max(where=label != IGNORED, initial=0)) + 1
    by_class = map_classes_to_indices(
        torch.tensor(label)[None],
        num_classes=classes,
        max_samples_per_class=CENTERS_KEPT,
    )[int(foreground) :]
    return [np.asarray(indices, dtype=np.int64) for indices in by_class if len(indices)]


def collate(samples: Sequence[Mapping[str, Any]]) -> Sample:
    """Stack tensors, list the rest."""
    first = samples[0]
    return {
        key: torch.stack([sample[key] for sample in samples])
        if isinstance(value, Tensor)
        else [sample[key] for sample in samples]
        for key, value in first.items()
    }
