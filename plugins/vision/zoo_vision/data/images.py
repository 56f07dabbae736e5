"""What all image datasets share: parts, loaders, facts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from zoo.plugin import (
    BaseDataModule,
    EpochSampler,
    Facts,
    Fold,
    FoldSamples,
    Part,
    UsageError,
    at_least,
    rank_zero_print,
)
from zoo_vision.data.class_counts import (
    balancing_weights,
    class_shares,
    count_classes,
    sentence,
)

Batch = tuple[Tensor, Tensor]
"""uint8 images (N, C, H, W) and int64 labels (N,), or uint8 (N, classes) where several may hold."""

TRAIN, VAL, TEST, UNUSED = 0, 1, 2, 3
CODES: dict[Part, int] = {"train": TRAIN, "val": VAL, "test": TEST}
"""The parts as they are written in arrays of parts."""

KEPT_ON_GPU = 2**28
"""Bytes of images that a GPU keeps for a whole training: MNIST is 47 MB, 60,000 of 32x32 in color
are 184."""

_PIXELS = 2**20
"""Pixels that are measured at a time."""

SPLIT_SEED = 20120613
"""Held-out parts are the same in every run, whatever the recipe's seed."""

T = TypeVar("T")


class LabelledImages(Dataset[Batch], ABC):
    """Images of one size with labels, fetched by whole batches.

    Args:
        labels: int64 (N,), or uint8 (N, classes) where several may hold.
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
        images: uint8 (M, C, H, W).
        labels: int64 (N,), or uint8 (N, classes) where several may hold.
        places: int64 (N,), which of the images these are; all of them in order without. Parts of
            one tensor share it.
    """

    def __init__(self, images: Tensor, labels: Tensor, places: Tensor | None = None) -> None:
        if images.dtype != torch.uint8 or images.ndim != 4:
            raise ValueError(
                f"images must be uint8 (N, C, H, W), not {images.dtype} {images.ndim}-d"
            )
        single = labels.dtype == torch.int64 and labels.ndim == 1
        several = labels.dtype == torch.uint8 and labels.ndim == 2
        if len(labels) != len(images if places is None else places) or not (single or several):
            raise ValueError(
                "labels must be int64 (N,) or uint8 (N, classes), one row for each image"
            )
        super().__init__(labels, images.shape[1], images.shape[2:])
        self._images, self._places = images, places

    @property
    def images(self) -> Tensor:
        """All: uint8 (N, C, H, W)."""
        return self._images if self._places is None else self._images[self._places]

    def pixels(self, indices: Tensor) -> Tensor:
        return self._images[indices if self._places is None else self._places[indices]]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        index = torch.as_tensor(indices, dtype=torch.int64)
        index = index.to(self.labels.device, non_blocking=True)
        return self.pixels(index), self.labels[index]

    def to(self, device: torch.device) -> TensorImages:
        """The same images on a device, where batches are made then."""
        return TensorImages(self.images.to(device), self.labels.to(device))

    @property
    def size_in_bytes(self) -> int:
        """Of the pixels."""
        return len(self) * self._images.shape[1:].numel()

    def select(self, indices: Tensor) -> TensorImages:
        places = indices if self._places is None else self._places[indices]
        return TensorImages(self._images, self.labels[indices], places)


@dataclass(frozen=True)
class LoadedImages:
    """The images under a root.

    Args:
        images: Everything, in the publisher's order.
        parts: uint8 (N,): `TRAIN`, `VAL`, `TEST` or `UNUSED` for each image.
        label_names: The classes' names; labels are positions in this list.
        ranges: The black and the white of stored values of more than 8 bits, by their kind.
        notes: What a user has to know of how the data were read, in sentences.
        names: The file of each image, relative to the root; its place by number where it has none.
        groups: What each belongs to by the publisher's layout, such as a track.
        group_name: What such a group is called.
        copies: For each the number of its picture; None where nobody looked for copies.
    """

    images: LabelledImages
    parts: np.ndarray
    label_names: list[str]
    ranges: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    names: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    group_name: str = "group"
    copies: np.ndarray | None = None


@dataclass(frozen=True)
class Pool:
    """The images of the training and the validation part, without their pixels.

    Args:
        indices: (N,) their places among all images, ascending.
        classes: Of each, by name; None where an image may have several.
        names: As of ``LoadedImages``, as are the others.
        groups: Likewise.
        group_name: Likewise.
        copies: Likewise.
    """

    indices: np.ndarray
    classes: Sequence[str] | None
    names: Sequence[str] | None
    groups: Sequence[str] | None
    group_name: str
    copies: np.ndarray | None

    @classmethod
    def of(cls, loaded: LoadedImages) -> Pool:
        """Those of a dataset."""
        indices = np.flatnonzero(np.isin(loaded.parts, (TRAIN, VAL)))
        labels = loaded.images.labels.numpy()[indices]
        names = np.array(loaded.label_names)
        several = labels.ndim == 2  # whose combinations are too many to have shares of
        return cls(
            indices,
            None if several else names[labels].tolist(),
            loaded.names,
            loaded.groups,
            loaded.group_name,
            loaded.copies,
        )

    @cached_property
    def samples(self) -> FoldSamples:
        """What is divided into folds."""
        places = self.indices.tolist()
        names, groups, copies = self.names, self.groups, self.copies
        return FoldSamples(
            [f"image {place}" if names is None else names[place] for place in places],
            self.classes,
            None if groups is None else [groups[place] for place in places],
            self.group_name,
            None if copies is None else copies[self.indices].tolist(),
        )

    def folded(self, parts: np.ndarray, fold: Fold, where: str) -> np.ndarray:
        """The parts with training and validation divided as a fold says.

        Raises:
            OtherDataError: the images are not those of the fold.
        """
        parts = parts.copy()
        parts[self.indices] = np.where(fold.is_val(self.samples, where), VAL, TRAIN)
        return parts


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
    # bincount makes eight bytes of each pixel.
    for chunk in indices.split(max(1, _PIXELS // (images.size[0] * images.size[1]))):
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


class ImageDataModule(BaseDataModule[LabelledImages]):
    """Base of the image datasets: a subclass says in `_load` which images there are, and that is
    all.

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

    sample_name = "image"
    fixed_test_batches = True
    counts_classes = False
    """Whether the number of images of each class is told: of a user's own images it is."""
    sampler: Literal["shuffle", "balanced"] = "shuffle"
    """``balanced`` draws images so that every class is trained on as often."""
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
        super().__init__(root, batch_size, num_workers, seed, split)
        if train_per_class is not None:
            at_least("train_per_class", train_per_class, 1)
        self.train_per_class = train_per_class
        self._loaded: tuple[dict[Part, LabelledImages], Facts] | None = None
        self._pool: Pool | None = None
        self._codes = np.empty(0, dtype=np.uint8)

    @abstractmethod
    def _load(self) -> LoadedImages:
        """Read the data under ``root``; called once.

        Raises:
            UsageError: something is missing, unreadable or inconsistent.
        """

    def _read(self) -> tuple[dict[Part, LabelledImages], Facts]:
        if self._loaded is None:
            loaded = self._load()
            images = loaded.images
            classes = len(loaded.label_names)
            self._check_labels(images.labels, classes)
            parts, pool = loaded.parts, Pool.of(loaded)
            if self.split == "all":
                parts = np.where(parts == UNUSED, UNUSED, TEST)
            elif self.fold is not None:
                parts = pool.folded(parts, self.fold, self.root)
            parts = self._limited(parts, images.labels.numpy())
            self._codes, self._pool = parts, pool
            by_part = {
                part: images.select(torch.from_numpy(np.flatnonzero(parts == code)))
                for part, code in CODES.items()
            }
            measured = by_part["test" if self.split == "all" else "train"]
            mean, std = pixel_statistics(measured, self.statistics_sample)
            facts: Facts = {
                "num_classes": classes,
                "in_channels": images.channels,
                "image_size": list(images.size),
                "label_names": loaded.label_names,
                "mean": mean,
                "std": std,
                "train_size": len(by_part["train"]),
                "pixel_ranges": loaded.ranges,
                "class_shares": class_shares(by_part["train"].labels, classes),
            }
            if images.labels.ndim == 2:
                facts["multilabel"] = True
            self._tell(by_part, loaded)
            self._loaded = by_part, facts
        return self._loaded

    def _check_labels(self, labels: Tensor, classes: int) -> None:
        wrong = (labels < 0) | (labels >= (2 if labels.ndim == 2 else classes))
        if wrong.any():
            first = wrong.nonzero()[0]
            raise UsageError(
                f"{self.root}: {int(wrong.sum())} labels lie outside the {classes} classes, the "
                f"first is label {int(labels[tuple(first)])} of image {int(first[0])}; labels "
                "count from 0"
            )

    def _tell(self, by_part: dict[Part, LabelledImages], loaded: LoadedImages) -> None:
        """Say what about the data may not be as the user thinks."""
        names = loaded.label_names
        notes = list(loaded.notes)
        train = by_part["train"]
        if len(train) and self.counts_classes:
            counts = count_classes(train.labels, len(names))
            notes.append(sentence(counts, names, len(train), self.sampler == "balanced"))
        for part, images in by_part.items():
            counts = count_classes(images.labels, len(names))
            lacking = [name for name, each in zip(names, counts, strict=True) if not each]
            if lacking and len(images):
                shown = ", ".join(lacking[:5]) + (", ..." if len(lacking) > 5 else "")
                notes.append(
                    f"the {part} part has no image of {len(lacking)} of {len(names)} classes: "
                    f"{shown}"
                )
        for note in notes:
            rank_zero_print(f"{self.root}: {note}")

    def _limited(self, parts: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The parts, with all but ``train_per_class`` training images of each class in none."""
        if self.train_per_class is None:
            return parts
        order = np.random.default_rng([SPLIT_SEED, self.seed]).permutation(len(labels))
        parts = parts.copy()
        for label in np.unique(labels):
            inside = order[(parts[order] == TRAIN) & (labels[order] == label)]
            parts[inside[self.train_per_class :]] = UNUSED
        return parts

    @property
    def facts(self) -> Facts:
        """``num_classes``, ``in_channels``, ``image_size`` [height, width], ``label_names``,
        ``mean`` and ``std`` (of each channel, of training pixels in [0, 1]), ``train_size``,
        ``pixel_ranges`` (black and white of files of more than 8 bits), ``class_shares`` (of the
        training images, which have each class), and ``multilabel`` where images may have
        several classes or none.

        With ``split="all"`` there is no training part and the statistics are the test part's.
        """
        return dict(self._read()[1])

    def describe_found(self) -> list[str]:
        """As of the base, and the classes' sizes where the largest is more than twice the least."""
        images, *rest = super().describe_found()
        found = [f"{self.root}: {images}", *rest]
        sizes = np.bincount(self.samples("train").labels.numpy(), minlength=1)
        if (sizes := sizes[sizes > 0]).size and sizes.max() > 2 * sizes.min():
            found.append(f"{sizes.min()} to {sizes.max()} training images a class")
        return found

    def fold_samples(self) -> FoldSamples:
        """The images of the training and the validation part; their classes, and the groups of
        the publisher's layout."""
        self._read()
        if self._pool is None or self.split == "all":
            return FoldSamples([])
        return self._pool.samples

    def samples(self, part: Part) -> LabelledImages:
        """The images of a part."""
        return self._read()[0][part]

    def train_loader(self, samples: LabelledImages) -> DataLoader[Batch]:
        """Batches in random order; a last batch of a single image is left out."""
        each = len(EpochSampler(samples))  # images of each process
        # Batch normalization has no variance to take of a batch of one.
        drop_last = each > 1 and each % self.batch_size == 1
        weights = balancing_weights(samples.labels) if self.sampler == "balanced" else None
        return self._batches(samples, shuffle=True, drop_last=drop_last, weights=weights)

    def eval_loader(self, samples: LabelledImages) -> DataLoader[Batch]:
        """Batches in order."""
        return self._batches(samples)

    def _batches(self, samples: LabelledImages, **options: Any) -> DataLoader[Batch]:
        """A loader; of few images in memory, for a GPU, one that makes its batches there."""
        gpu = None if self.num_workers else self.gpu  # a worker cannot hand over a GPU's memory
        if gpu and isinstance(samples, TensorImages) and samples.size_in_bytes <= KEPT_ON_GPU:
            samples, options = samples.to(gpu), {**options, "pin_memory": False}
        return self.loader(samples, collate_fn=_as_is, **options)
