"""A user's own images: one folder a class, or a table of labels."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from zoo.plugin import UsageError, at_least, fractions, is_rank_zero, one_of, require
from zoo_vision.data.copies import find_copies, settle
from zoo_vision.data.decoding import attempt_all, decode_folder, inspect, read_image
from zoo_vision.data.folder_layout import (
    PART_NAMES,
    Listing,
    list_classes,
    list_parts,
    part_folders,
    unwrapped,
)
from zoo_vision.data.folder_ranges import decide_ranges, inspect_readable
from zoo_vision.data.groups import (
    by_pattern,
    hold_out_spread,
    relative,
    require_whole,
    sentence,
    units,
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
from zoo_vision.data.label_names import alike
from zoo_vision.data.metadata import Columns, find_tables, list_tables
from zoo_vision.data.opening import suffixes
from zoo_vision.data.part_lists import apply_lists
from zoo_vision.data.pixel_range import STATED, Ranges
from zoo_vision.data.sources import FILES, Sources
from zoo_vision.data.visible import Walk

log = logging.getLogger(__name__)

FEWEST_IN_CLASS = 3


class ImageFiles(LabelledImages):
    """Images decoded when a batch asks for them.

    Args:
        paths: The files.
        labels: int64 (N,).
        channels: 1 or 3.
        size: Height and width to which images are brought.
        ranges: What is black and what is white in files of more than 8 bits.
        sources: Opens the files.
    """

    def __init__(
        self,
        paths: Sequence[str],
        labels: Tensor,
        channels: int,
        size: Sequence[int],
        ranges: Ranges | None = None,
        sources: Sources = FILES,
    ) -> None:
        super().__init__(labels, channels, size)
        self.ranges = ranges
        self.sources = sources
        # One array, and not a list: worker processes then share its memory with their parent.
        self.paths = np.array(paths, dtype=np.str_)

    def pixels(self, indices: Tensor) -> Tensor:
        """The images at ``indices``: uint8 (len(indices), C, H, W).

        Raises:
            UsageError: a file has become unreadable.
        """
        paths = self.paths[indices.numpy()]
        options = (self.channels, self.size, self.ranges, self.sources)
        return torch.stack([read_image(str(path), *options) for path in paths])

    def select(self, indices: Tensor) -> ImageFiles:
        paths = self.paths[indices.numpy()]
        options = (self.channels, self.size, self.ranges, self.sources)
        return ImageFiles(paths, self.labels[indices], *options)


class ImageFolder(ImageDataModule):
    """Your own images, in any format Pillow reads, one folder a class.

    Either ``root/<class>/*``, split by the two fractions, or ``root/train/<class>/*`` with
    ``root/val`` and ``root/test`` beside it, in any common spelling (``Training``, ``valid``,
    ``01_test_set``); a part without a folder is split off the training images. Or the imagefolder
    layout of Hugging Face: ``metadata.csv`` or ``metadata.jsonl`` with the columns ``file_name``
    and ``label``, in the root or in each part's folder; or a table that ``labels`` names. Parts
    may also come from a column, or from lists of files. Images may lie in folders below their
    class's. Files without an image's suffix, and hidden ones, are left alone. Copies of a picture
    are kept in one part. Every image is turned upright, scaled to cover a square of
    ``image_size`` and cropped to it at the center.

    Folders that fit into ``memory_mb`` once decoded are decoded at the start and kept. Larger
    ones are decoded batch by batch in the worker processes, and checked at the start instead.

    Args:
        root: The folder with the classes' or parts' folders.
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
        range: The values that are black and white in files of more than 8 bits, such as
            [0, 4095]; what lies beyond is cut off. Without, integers are taken for the smallest
            of 8, 12 and 16 bits that holds the largest value found in the folder, and
            floating-point numbers for 0 to 1 or 0 to 255.
        label_column: The column of labels in a table.
        labels: A table, CSV or JSON lines, with a row for each image: its file, its label and,
            if there is such a column, its part.
        file_column: The table's column of file names, relative to the table or to ``root``; the
            first that is called ``file_name``, ``file``, ``image``, ``path``, ``id`` or the like
            without.
        part_column: The table's column of parts; the first that is called ``part``, ``split``,
            ``subset`` or ``set`` without.
        multilabel: Whether an image may have several labels, or none: a cell then holds them with
            ``label_separator`` between, a list in JSON, or there are several rows for a file.
        label_separator: Between the labels in a cell.
        label_columns: Columns of 0 and 1, one a class, instead of a column of labels; an image may
            have several of the classes, or none.
        group_column: The table's column of what stays together in one part, such as the patient.
        group_pattern: A regular expression whose finding in an image's path, relative to
            ``root``, is what stays together: what is in its parentheses, or all that it finds.
        train_list: A text file with the path of a training image in each line, relative to
            ``root`` or to the list. Where there are lists, images in none are left out.
        val_list: The same of the validation part, which is split off the training part without.
        test_list: The same of the test part.
        sampler: ``balanced`` draws the training images so that each class comes as often; an
            epoch stays as long. ``shuffle`` takes each image once.
    """

    keep_best = True
    counts_classes = True
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
        range: list[float] | None = None,
        label_column: str = "label",
        labels: str | None = None,
        file_column: str | None = None,
        part_column: str | None = None,
        multilabel: bool = False,
        label_separator: str = ";",
        label_columns: list[str] | None = None,
        group_column: str | None = None,
        group_pattern: str | None = None,
        train_list: str | None = None,
        val_list: str | None = None,
        test_list: str | None = None,
        sampler: Literal["shuffle", "balanced"] = "shuffle",
    ) -> None:
        super().__init__(root, batch_size, num_workers, seed, split, train_per_class)
        fractions(val_fraction=val_fraction, test_fraction=test_fraction)
        at_least("image_size", image_size, 1)
        one_of("in_channels", in_channels, (1, 3))
        one_of("check", check, ("decode", "open"))
        if range is not None:
            require(
                len(range) == 2 and range[0] < range[1],
                f"range is {range}; it takes the value that is black and, above it, the one that "
                "is white, such as [0, 4095]",
            )
        one_of("sampler", sampler, ("shuffle", "balanced"))
        require(bool(label_separator), "label_separator is empty; give what stands between labels")
        several = multilabel or bool(label_columns)
        require(
            not (several and train_per_class),
            "train_per_class takes one label an image; omit it, or multilabel and label_columns",
        )
        require(
            not (group_column and group_pattern),
            "group_column and group_pattern are both given; choose one of the two",
        )
        _require_pattern(group_pattern)
        self.columns = Columns(
            label_column,
            label_columns or (),
            file_column,
            part_column,
            group_column,
            label_separator,
            several,
        )
        self.labels = labels
        self.group_pattern = group_pattern
        lists = {TRAIN: train_list, VAL: val_list, TEST: test_list}
        self.lists = {part: name for part, name in lists.items() if name}
        self.sampler = sampler
        self.size = (image_size, image_size)
        self.in_channels = in_channels
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.memory_mb = memory_mb
        self.check = check
        self.range = range
        self.sources: Sources = FILES

    def _load(self) -> LoadedImages:
        listing = self._list()
        root = Path(self.root)
        if self.group_pattern:
            listing.groups = by_pattern(listing.paths, root, self.group_pattern)
        if listing.groups:
            listing.notes.append(sentence(listing.groups))
        if not listing.sets:
            listing.notes += alike(Counter(listing.names[label] for label in listing.labels))
        if self.lists:
            apply_lists(listing, root, self.lists)
        copies = find_copies(listing.paths, self.sources)
        settle(listing, copies, all_parts=self.split == "all")
        labels = np.array(listing.labels, dtype=np.int64)
        parts = np.array(listing.parts, dtype=np.uint8)
        if self.split == "standard":
            self._require_training(parts)
            if listing.groups:
                require_whole(listing, parts)
            self._split(labels, parts, listing, units(copies, listing.groups))
        if listing.sets:
            labels = listing.held(labels).astype(np.uint8)
        return replace(
            self._read_images(listing, labels, parts),
            names=[relative(path, root) for path in listing.paths],
            groups=[group or f"image {i}" for i, group in enumerate(listing.groups)] or None,
            group_name=self.columns.group or "group",
            copies=copies,
        )

    def _read_images(self, listing: Listing, labels: np.ndarray, parts: np.ndarray) -> LoadedImages:
        paths, channels, size = listing.paths, self.in_channels, self.size
        stated = {STATED: [float(value) for value in self.range]} if self.range else {}
        if len(paths) * channels * size[0] * size[1] <= self.memory_mb * 1e6:
            decide = partial(decide_ranges, paths, stated=stated, notes=listing.notes)
            decoded, found, ranges = decode_folder(paths, channels, size, self.sources, decide)
            pixels = torch.from_numpy(decoded)
            flat = pixels.flatten(2)
            constant = (flat.amax(2) == flat.amin(2)).all(1).tolist()
            images: LabelledImages = TensorImages(pixels, torch.from_numpy(labels))
        else:
            # Of several processes, one is enough to read the whole folder.
            if is_rank_zero():
                log.info("Checking that %d image files under %s decode", len(paths), self.root)
                look = partial(inspect, whole=self.check == "decode", sources=self.sources)
                found = list(attempt_all(look, {path: path for path in paths}))
            else:
                found = inspect_readable(paths, self.sources)
            ranges = decide_ranges(paths, found, stated, listing.notes)
            constant = [bool(each and each.constant) for each in found]
            images = ImageFiles(
                paths, torch.from_numpy(labels), channels, size, ranges, self.sources
            )
        pages = [path for path, each in zip(paths, found, strict=True) if each and each.pages]
        if pages:
            listing.notes.append(
                f"TIFF files of several pages, of which the first is read: {len(pages)}, the first "
                f"is {pages[0]}"
            )
        if count := sum(constant):
            listing.notes.append(
                f"images of one color all over: {count} of {len(paths)}, the first is "
                f"{paths[constant.index(True)]}"
            )
        return LoadedImages(images, parts, listing.names, ranges, listing.notes)

    def _list(self) -> Listing:
        root = Path(self.root)
        if not root.is_dir():
            raise UsageError(
                f"{root} is not a folder; point --data.root at a folder with one folder a class"
            )
        walk = Walk(suffixes())
        if self.labels:
            listing = list_tables(root, [Path(self.labels)], self.columns, walk, named=True)
            assert listing is not None
            listing.notes += walk.notes()
            return listing
        tables = find_tables(root)
        inner = root if tables else unwrapped(root, walk)
        tables = tables or find_tables(inner)
        listing = list_tables(inner, tables, self.columns, walk) if tables else None
        notes = [f"the images are read from {inner}"] if inner != root else []
        if listing is None:
            self._require_no_columns()
            if tables:
                notes.append(
                    f"{tables[0]} has no column {self.columns.label!r}: the folders are the classes"
                )
            folders = [] if self.lists else part_folders(inner, walk)
            listing = list_parts(folders, walk) if folders else list_classes(inner, walk)
        listing.notes = [*notes, *listing.notes, *walk.notes()]
        return listing

    def _require_no_columns(self) -> None:
        """What only a table has is refused where there is none."""
        for name, given in (
            ("multilabel", self.columns.several),
            ("group_column", self.columns.group),
            ("part_column", self.columns.part),
            ("file_column", self.columns.file),
        ):
            require(
                not given,
                f"{name} needs a table of labels, and {self.root} has none: name it by "
                "--data.labels, or call it metadata.csv",
            )

    def _require_training(self, parts: np.ndarray) -> None:
        if not (parts == TRAIN).any():
            raise UsageError(
                f"{self.root} holds no training images: name their folder train/, or give "
                "--data.split all to test on everything"
            )

    def _split(
        self, labels: np.ndarray, parts: np.ndarray, listing: Listing, whole: np.ndarray
    ) -> None:
        """Split the missing parts off the training part, what stays together in one of them."""
        given = listing.in_parts or bool(np.isin(parts, (VAL, TEST)).any())
        for part, fraction in ((TEST, self.test_fraction), (VAL, self.val_fraction)):
            if (parts == part).any() or not fraction:
                continue
            rest = np.flatnonzero(parts == TRAIN)
            if not listing.groups and not listing.sets:
                self._require_enough(labels[rest], whole[rest], listing.names, part)
            if listing.sets or _mixed(labels[rest], whole[rest]):
                chosen = hold_out_spread(listing.held(labels[rest]), fraction, whole[rest])
            else:
                chosen = hold_out(labels[rest], fraction, whole[rest])
            name = PART_NAMES[part]
            if not chosen.any():
                raise UsageError(
                    f"{self.root}: the training images form too few groups "
                    f"({len(np.unique(whole[rest]))}) to hold out a {name} part: make smaller "
                    f"groups, or give --data.{name}_fraction 0"
                )
            parts[rest[chosen]] = part
            if given:
                listing.notes.append(
                    f"there are no images of a {name} part: {fraction:.0%} of the training "
                    f"images are taken for it ({name}_fraction)"
                )

    def _require_enough(
        self, labels: np.ndarray, whole: np.ndarray, names: Sequence[str], part: int
    ) -> None:
        _, one_of_each = np.unique(whole, return_index=True)
        counts = np.bincount(labels[one_of_each], minlength=len(names))
        if counts.min() < FEWEST_IN_CLASS - (part == VAL):
            raise UsageError(
                f"{self.root}: class {names[int(counts.argmin())]!r} has too few images to split "
                f"into parts; it needs {FEWEST_IN_CLASS} or more, or val_fraction and "
                "test_fraction 0"
            )


def _mixed(labels: np.ndarray, whole: np.ndarray) -> bool:
    """Whether what stays together has several classes."""
    return len(np.unique(np.stack([whole, labels]), axis=1)[0]) > len(np.unique(whole))


def _require_pattern(pattern: str | None) -> None:
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise UsageError(
            f"group_pattern {pattern!r} is not a regular expression: {error}"
        ) from error
