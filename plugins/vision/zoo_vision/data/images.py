"""What all image datasets share: parts, loaders, facts."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from zoo.plugin import EpochSampler, Facts, ResumableLoader, UsageError

Batch = tuple[Tensor, Tensor]
"""uint8 images (N, C, H, W) and int64 labels (N,)."""

TRAIN, VAL, TEST, UNUSED = 0, 1, 2, 3

SPLIT_SEED = 20120613
"""Held-out parts are the same in every run, whatever the recipe's seed."""

T = TypeVar("T")


class LabelledImages(Dataset[Batch], ABC):
    """Images of one size with labels, fetched by whole batches.

    Args:
        labels: int64 (N,).
        channels: 1 or 3.
        size: Height and width in pixels.
    """

    def __init__(self, labels: Tensor, channels: int, size: Sequence[int]) -> None:
        self.labels = labels
        self.channels = channels
        self.size = (int(size[0]), int(size[1]))

    @abstractmethod
    def pixels(self, indices: Tensor) -> Tensor:
        """The images at ``indices``: uint8 (len(indices), C, H, W)."""

    @abstractmethod
    def select(self, indices: Tensor) -> LabelledImages:
        """The data set of the images at ``indices`` alone."""

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Batch:
        pixels, labels = self.__getitems__([index])
        return pixels[0], labels[0]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        # torch's fetcher prefers this method: the batch comes collated.
        index = torch.as_tensor(indices, dtype=torch.int64)
        return self.pixels(index), self.labels[index]


class TensorImages(LabelledImages):
    """Images held in memory: a batch costs one indexing of a tensor.

    Args:
        images: uint8 (N, C, H, W).
        labels: int64 (N,).
    """

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        if images.dtype != torch.uint8 or images.ndim != 4:
            raise ValueError(
                f"images must be uint8 (N, C, H, W), not {images.dtype} {images.ndim}-d"
            )
        if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
            raise ValueError("labels must be int64 (N,), one for each image")
        super().__init__(labels, images.shape[1], images.shape[2:])
        self.images = images

    def pixels(self, indices: Tensor) -> Tensor:
        return self.images[indices]

    def select(self, indices: Tensor) -> TensorImages:
        return TensorImages(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class Found:
    """What was found under a root.

    Args:
        images: Everything, in the publisher's order.
        parts: uint8 (N,): `TRAIN`, `VAL` or `TEST` for each image.
        label_names: The classes' names; labels are positions in this list.
    """

    images: LabelledImages
    parts: np.ndarray
    label_names: list[str]


def hold_out(labels: np.ndarray, fraction: float, groups: np.ndarray | None = None) -> np.ndarray:
    """Choose a fixed, stratified part of the data.

    In each class ``round(fraction * n)`` of its groups are chosen, at least one and never all,
    by a generator seeded with a constant and the class: the choice depends on nothing but the
    arguments, and one class's choice not on another's.

    Args:
        labels: (N,) class of each sample.
        fraction: Share to choose, from 0 (none) to below 1.
        groups: (N,) what belongs together, such as the track of a frame; it is chosen as one.
            Each group lies in one class. Default: every sample is its own group.

    Returns:
        Boolean (N,): True where chosen.
    """
    if groups is None:
        groups = np.arange(len(labels))
    chosen = np.zeros(len(labels), dtype=bool)
    if fraction == 0:
        return chosen
    for label in np.unique(labels):
        inside = np.flatnonzero(labels == label)
        members = np.unique(groups[inside])
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        order = np.random.default_rng([SPLIT_SEED, int(label)]).permutation(len(members))
        chosen[inside] = np.isin(groups[inside], members[order[:count]])
    return chosen


def pixel_statistics(images: LabelledImages, most: int) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, of pixels in [0, 1].

    Args:
        images: The images to measure.
        most: Use at most so many, evenly spread.
    """
    indices = torch.linspace(0, len(images) - 1, min(most, len(images))).round().long()
    counts = np.zeros((images.channels, 256), dtype=np.int64)
    for chunk in indices.split(256):
        for channel, values in enumerate(images.pixels(chunk).transpose(0, 1)):
            counts[channel] += torch.bincount(values.flatten(), minlength=256).numpy()
    levels = np.arange(256) / 255
    share = counts / counts.sum(axis=1, keepdims=True)
    mean = share @ levels
    spread = np.sqrt(np.maximum(share @ levels**2 - mean**2, 0))
    # A model divides by the spread: one gray level stands in where a channel is constant.
    return [round(float(m), 6) for m in mean], [round(float(max(s, 1 / 255)), 6) for s in spread]


def _as_is(batch: T) -> T:
    return batch


class ImageDataModule(LightningDataModule, ABC):
    """Base of the image datasets: a subclass says in `_load` what was found, and that is all.

    Batches are ``(images, labels)``: uint8 (N, C, H, W) and int64 (N,).

    Args:
        root: Where the files are.
        batch_size: Images in a batch, on each device.
        num_workers: Processes that prepare batches.
        seed: Seed of the order of the training images.
        split: ``standard``, or ``all`` to make everything found the test part.
        train_per_class: Train on at most so many images of each class, chosen by ``seed``; on
            all without.

    Raises:
        UsageError: an argument is out of its range.
    """

    statistics_sample = 1_000_000
    """Images that ``mean`` and ``std`` are measured on, at most."""

    def __init__(
        self,
        root: str,
        batch_size: int,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        train_per_class: int | None = None,
    ) -> None:
        super().__init__()
        if split not in ("standard", "all"):
            raise UsageError(f"split {split!r} is neither 'standard' nor 'all'")
        if batch_size < 1:
            raise UsageError(f"batch_size is {batch_size}; it must be 1 or more")
        if num_workers < 0:
            raise UsageError(f"num_workers is {num_workers}; it must be 0 or more")
        if train_per_class is not None and train_per_class < 1:
            raise UsageError(f"train_per_class is {train_per_class}; it must be 1 or more")
        self.train_per_class = train_per_class
        self.root = root
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.split = split
        self._found: tuple[dict[int, LabelledImages], Facts] | None = None

    @abstractmethod
    def _load(self) -> Found:
        """Read the data under ``root``; called once.

        Raises:
            UsageError: something is missing, unreadable or inconsistent.
        """

    def _read(self) -> tuple[dict[int, LabelledImages], Facts]:
        if self._found is None:
            found = self._load()
            images, parts = found.images, found.parts
            classes = len(found.label_names)
            wrong = (images.labels < 0) | (images.labels >= classes)
            if wrong.any():
                first = int(wrong.nonzero()[0])
                raise UsageError(
                    f"{self.root}: {int(wrong.sum())} labels lie outside the {classes} classes, "
                    f"the first is label {int(images.labels[first])} of image {first}; "
                    "labels count from 0"
                )
            if self.split == "all":
                parts = np.full(len(images), TEST)
            parts = self._limited(parts, images.labels.numpy())
            chosen = {
                part: images.select(torch.from_numpy(np.flatnonzero(parts == part)))
                for part in (TRAIN, VAL, TEST)
            }
            measured = chosen[TEST if self.split == "all" else TRAIN]
            mean, std = pixel_statistics(measured, self.statistics_sample)
            facts: Facts = {
                "num_classes": classes,
                "in_channels": images.channels,
                "image_size": list(images.size),
                "label_names": found.label_names,
                "mean": mean,
                "std": std,
                "train_size": len(chosen[TRAIN]),
            }
            self._found = chosen, facts
        return self._found

    def _limited(self, parts: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The parts, with all but ``train_per_class`` training images of each class in none."""
        if self.train_per_class is None:
            return parts
        order = np.random.default_rng([SPLIT_SEED, self.seed]).permutation(len(labels))
        parts = parts.copy()
        for label in np.unique(labels):
            found = order[(parts[order] == TRAIN) & (labels[order] == label)]
            parts[found[self.train_per_class :]] = UNUSED
        return parts

    @property
    def facts(self) -> Facts:
        """``num_classes``, ``in_channels``, ``image_size`` [height, width], ``label_names``,
        ``mean`` and ``std`` (of each channel, of training pixels in [0, 1]), ``train_size``.

        With ``split="all"`` there is no training part and the statistics are the test part's.
        """
        return dict(self._read()[1])

    def setup(self, stage: str | None = None) -> None:
        """Read the data, unless that has been done."""
        self._read()

    def train_dataloader(self) -> DataLoader[Batch]:
        return self._loader(TRAIN, shuffle=True)

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """The validation part; with none, an empty list: Lightning then skips validation."""
        if len(self._read()[0][VAL]):
            return self._loader(VAL)
        # Lightning warns of an empty list, in case it came about by accident.
        warnings.filterwarnings("ignore", "Total length of `list` across ranks is zero")
        return []

    def test_dataloader(self) -> DataLoader[Batch]:
        return self._loader(TEST)

    def predict_dataloader(self) -> DataLoader[Batch]:
        return self._loader(TEST)

    def _loader(self, part: int, shuffle: bool = False) -> DataLoader[Batch]:
        data = self._read()[0][part]
        if not len(data):
            name = {TRAIN: "training", VAL: "validation", TEST: "test"}[part]
            raise UsageError(
                f"{self.root}: with split={self.split!r} no image is in the {name} part"
            )
        each = len(EpochSampler(data))  # images of each process
        trainer = self.trainer
        return ResumableLoader(
            data,
            self.batch_size,
            seed=self.seed,
            shuffle=shuffle,
            # Batch normalization has no variance to take of a batch of one.
            drop_last=shuffle and each > 1 and each % self.batch_size == 1,
            collate_fn=_as_is,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=trainer is not None and trainer.strategy.root_device.type == "cuda",
        )


def check_fractions(**fractions: float) -> None:
    """Refuse fractions below 0, or that leave nothing to train on.

    Raises:
        UsageError: naming the arguments.
    """
    if any(not 0 <= value < 1 for value in fractions.values()) or sum(fractions.values()) >= 1:
        stated = " and ".join(f"{name}={value:g}" for name, value in fractions.items())
        raise UsageError(f"{stated}: each must be at least 0, and together below 1")
