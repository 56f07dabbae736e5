"""A user's own images: one folder a class."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from zoo.plugin import UsageError, at_least, fractions, is_rank_zero, one_of
from zoo_vision.data.decoding import (
    attempt_all,
    check_decodes,
    check_opens,
    decode,
    decode_all,
    read_image,
    suffixes,
)
from zoo_vision.data.images import (
    TEST,
    TRAIN,
    VAL,
    ImageDataModule,
    LabelledImages,
    LoadedImages,
    TensorImages,
    hold_out,
)

log = logging.getLogger(__name__)

PART_FOLDERS = {"train": TRAIN, "val": VAL, "valid": VAL, "validation": VAL, "test": TEST}
FEWEST_IN_CLASS = 3


class ImageFiles(LabelledImages):
    """Images decoded when a batch asks for them.

    Args:
        paths: The files.
        labels: int64 (N,).
        channels: 1 or 3.
        size: Height and width to which images are brought.
    """

    def __init__(
        self, paths: Sequence[str], labels: Tensor, channels: int, size: Sequence[int]
    ) -> None:
        super().__init__(labels, channels, size)
        # One array, and not a list: worker processes then share its memory with their parent.
        self.paths = np.array(paths, dtype=np.str_)

    def pixels(self, indices: Tensor) -> Tensor:
        """The images at ``indices``: uint8 (len(indices), C, H, W).

        Raises:
            UsageError: a file has become unreadable.
        """
        paths = self.paths[indices.numpy()]
        return torch.stack([read_image(str(path), self.channels, self.size) for path in paths])

    def select(self, indices: Tensor) -> ImageFiles:
        return ImageFiles(
            self.paths[indices.numpy()], self.labels[indices], self.channels, self.size
        )


class ImageFolder(ImageDataModule):
    """Your own images, in any format Pillow reads, one folder a class.

    Either ``root/<class>/*``, split by the two fractions, or ``root/train/<class>/*`` with
    ``root/val`` and ``root/test`` beside it; a part without a folder is split off the training
    images. Images may lie in folders below their class's. Files without an image's suffix, and
    hidden ones, are left alone. Every image is turned upright, scaled to cover a square of
    ``image_size`` and cropped to it at the center.

    Folders that fit into ``memory_mb`` once decoded are decoded at the start and kept. Larger
    ones are decoded batch by batch in the worker processes, and checked at the start instead.

    Args:
        root: The folder with the classes' folders.
        batch_size: Images in a batch, on each device.
        num_workers: Processes that prepare batches. 0 is quickest for what is kept in memory;
            give a large folder the machine's cores.
        seed: Seed of the order of the training images; the split does not depend on it.
        split: ``standard``, or ``all`` to make every image found test data.
        image_size: Height and width to which images are brought, in pixels.
        in_channels: 3 for color, 1 for gray.
        val_fraction: Share of each class held out for validation, fixed; 0 for none. Not used
            where there is a folder ``val``.
        test_fraction: Share of each class held out as test part, fixed. Not used where there is
            a folder ``test``.
        memory_mb: Largest size, in MB of decoded pixels, to keep in memory.
        check: What a larger folder is checked by: ``decode`` decodes every file once, at reduced
            size where the format allows, on all cores (about a thousand small JPEGs a second and
            core); ``open`` reads the files' headers alone and leaves a file that is cut short
            to be found in training.
        train_per_class: Train on at most so many images of each class, chosen by ``seed``; on
            all without.
    """

    keep_best = True
    statistics_sample = 2000

    def __init__(
        self,
        root: str = "data/image-folder",
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        image_size: int = 224,
        in_channels: int = 3,
        val_fraction: float = 0.15,
        test_fraction: float = 0.15,
        memory_mb: int = 1000,
        check: Literal["decode", "open"] = "decode",
        train_per_class: int | None = None,
    ) -> None:
        super().__init__(root, batch_size, num_workers, seed, split, train_per_class)
        fractions(val_fraction=val_fraction, test_fraction=test_fraction)
        at_least("image_size", image_size, 1)
        one_of("in_channels", in_channels, (1, 3))
        one_of("check", check, ("decode", "open"))
        self.size = (image_size, image_size)
        self.in_channels = in_channels
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.memory_mb = memory_mb
        self.check = check

    def _load(self) -> LoadedImages:
        paths, labels, parts, names = self._list()
        if self.split == "standard":
            self._split(labels, parts, names)
        channels, size = self.in_channels, self.size
        if len(paths) * channels * size[0] * size[1] <= self.memory_mb * 1e6:
            calls = {path: partial(decode, path, channels, size) for path in paths}
            pixels = torch.from_numpy(decode_all(calls, channels, size))
            return LoadedImages(TensorImages(pixels, torch.from_numpy(labels)), parts, names)
        # Of several processes, one is enough to read the whole folder.
        if is_rank_zero():
            log.info("Checking that %d image files under %s decode", len(paths), self.root)
            test = check_decodes if self.check == "decode" else check_opens
            attempt_all(test, {path: path for path in paths})
        return LoadedImages(
            ImageFiles(paths, torch.from_numpy(labels), channels, size), parts, names
        )

    def _list(self) -> tuple[list[str], np.ndarray, np.ndarray, list[str]]:
        """All image files, their labels, their parts and the classes' names."""
        root = Path(self.root)
        if not root.is_dir():
            raise UsageError(
                f"{root} is not a folder; point --data.root at a folder with one folder a class"
            )
        train = root / "train"
        in_parts = train.is_dir() and bool(_folders(train))
        sources = self._parts_found(root) if in_parts else [(root, TRAIN)]
        names = [folder.name for folder in _folders(sources[0][0])]
        if len(names) < 2:
            found = f"only the folder {names[0]}/" if names else "no folders"
            raise UsageError(
                f"{sources[0][0]} holds {found}; a classifier needs two classes or more, each in "
                "a folder of its own"
            )
        known = suffixes()
        paths: list[str] = []
        labels: list[int] = []
        parts: list[int] = []
        for folder, part in sources:
            for source in _folders(folder):
                if source.name not in names:
                    raise UsageError(
                        f"{source} is a class that {sources[0][0]} lacks; rename it or add it there"
                    )
                images = sorted(_images(source, known))
                if not images and part == TRAIN:
                    raise UsageError(
                        f"{source} holds no image files; add images of that class or remove the "
                        "folder"
                    )
                paths += images
                labels += [names.index(source.name)] * len(images)
                parts += [part] * len(images)
        return paths, np.array(labels, dtype=np.int64), np.array(parts, dtype=np.uint8), names

    def _parts_found(self, root: Path) -> list[tuple[Path, int]]:
        folders = _folders(root)
        strange = [folder.name for folder in folders if folder.name not in PART_FOLDERS]
        if strange:
            raise UsageError(
                f"{root} holds the part train/ and also {strange[0]}/, which is not a part; put "
                "every class into train/, val/ and test/, or all classes beside each other"
            )
        sources = sorted(((folder, PART_FOLDERS[folder.name]) for folder in folders), key=_part)
        if [part for _, part in sources].count(VAL) > 1:
            raise UsageError(
                f"{root} holds more than one validation folder; keep one of "
                f"{', '.join(folder.name for folder, part in sources if part == VAL)}"
            )
        return sources

    def _split(self, labels: np.ndarray, parts: np.ndarray, names: list[str]) -> None:
        """Split the missing parts off the training part."""
        for part, fraction in ((TEST, self.test_fraction), (VAL, self.val_fraction)):
            if (parts == part).any() or not fraction:
                continue
            counts = np.bincount(labels[parts == TRAIN], minlength=len(names))
            if counts.min() < FEWEST_IN_CLASS - (part == VAL):
                raise UsageError(
                    f"{self.root}: class {names[counts.argmin()]!r} has too few images to split "
                    f"into parts; it needs {FEWEST_IN_CLASS} or more, or val_fraction and "
                    "test_fraction 0"
                )
            rest = np.flatnonzero(parts == TRAIN)
            parts[rest[hold_out(labels[rest], fraction)]] = part


def _part(source: tuple[Path, int]) -> int:
    return source[1]


def _folders(folder: Path) -> list[Path]:
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}") from error
    return [
        path for path in inside if path.is_dir() and not path.name.startswith((".", "__MACOSX"))
    ]


def _images(folder: Path, known: set[str]) -> Iterator[str]:
    for where, _, files in os.walk(folder, followlinks=True):
        for name in files:
            path = Path(where, name)
            if not name.startswith(".") and path.suffix.lower() in known:
                yield str(path)
