"""The German Traffic Sign Recognition Benchmark, from its publisher's folders or zips."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np
import torch

from zoo.plugin import Part, UsageError, at_least, fractions
from zoo_vision.data.decoding import decode, decode_all
from zoo_vision.data.images import (
    CODES,
    TEST,
    TRAIN,
    VAL,
    ImageDataModule,
    LoadedImages,
    TensorImages,
    hold_out,
)

HOMEPAGE = "https://benchmark.ini.rub.de/gtsrb_dataset.html"
CLASSES = [
    "speed limit 20",
    "speed limit 30",
    "speed limit 50",
    "speed limit 60",
    "speed limit 70",
    "speed limit 80",
    "end of speed limit 80",
    "speed limit 100",
    "speed limit 120",
    "no overtaking",
    "no overtaking by lorries",
    "priority at next crossing",
    "priority road",
    "give way",
    "stop",
    "no vehicles",
    "no lorries",
    "no entry",
    "danger",
    "bend left",
    "bend right",
    "double bend",
    "uneven road",
    "slippery road",
    "road narrows",
    "road works",
    "traffic signals",
    "pedestrians",
    "children",
    "cyclists",
    "snow or ice",
    "wild animals",
    "end of all limits",
    "turn right",
    "turn left",
    "ahead only",
    "ahead or right",
    "ahead or left",
    "keep right",
    "keep left",
    "roundabout",
    "end of no overtaking",
    "end of no overtaking by lorries",
]
_TRAINING = re.compile(r"(?:^|/)(\d{5})/(\d{5})_(\d{5})\.ppm$")
_FINAL_TEST = re.compile(r"(?:^|/)Final_Test/Images/(\d{5})\.ppm$")
_FINAL_TRUTH = "GT-final_test.csv"

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class _File:
    """A file in a folder or in a zip."""

    shown: str
    read: Callable[[], bytes]

    def decode(self, size: int, box: Box | None) -> np.ndarray:
        return decode(io.BytesIO(self.read()), 3, (size, size), box)


@dataclass(frozen=True)
class _Image:
    file: _File
    label: int
    track: int
    """One track's frames show one physical sign; -1 in the final test set, which hides tracks."""
    box: Box | None
    part: int


class GTSRB(ImageDataModule):
    """Photographs of German traffic signs: 43 classes, color, 15 to 250 pixels wide.

    The images of one track are frames of one drive past one sign, nearly alike; so parts are
    made of whole tracks. Source: Stallkamp, Schlipsing, Salmen, Igel: Man vs. computer:
    Benchmarking machine learning algorithms for traffic sign recognition, Neural Networks 32,
    2012.

    Read in place, unpacked or as zip files: ``Training/<class>/<track>_<frame>.ppm`` or
    ``Final_Training/Images/<class>/<track>_<frame>.ppm`` (which holds all the images of the
    former and is used alone where both are), and, as the test part where it is there,
    ``Final_Test/Images/<number>.ppm`` with ``GT-final_test.csv``. Without that file
    ``test_fraction`` of the tracks are the test part.

    Args:
        root: The folder with the publisher's folders or zip files, or one zip file.
        batch_size: Images in a batch, on each device.
        num_workers: Processes that prepare batches; the data lies in memory, 0 is quickest.
        seed: Seed of the order of the training images; the split does not depend on it.
        split: ``standard``, or ``all`` to make every image found test data.
        image_size: Height and width to which images are scaled, in pixels.
        val_fraction: Share of each class's tracks held out for validation, fixed; 0 for none.
        test_fraction: Share of each class's tracks held out as test part, fixed; not used where
            the publisher's test set with its labels is found.
        crop_to_sign: Cut out the sign by the box in the publisher's csv files, instead of using
            the image with its border of about a tenth.
        train_per_class: Train on at most so many images of each class, chosen by ``seed``; on
            all without.
    """

    def __init__(
        self,
        root: str = "data/gtsrb",
        batch_size: int = 64,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        image_size: int = 48,
        val_fraction: float = 0.15,
        test_fraction: float = 0.2,
        crop_to_sign: bool = False,
        train_per_class: int | None = None,
    ) -> None:
        super().__init__(root, batch_size, num_workers, seed, split, train_per_class)
        fractions(val_fraction=val_fraction, test_fraction=test_fraction)
        at_least("image_size", image_size, 1)
        self.image_size = image_size
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.crop_to_sign = crop_to_sign
        self.tracks: dict[Part, list[int]] = {}
        """For each part the track of each image, as class * 100,000 + track; -1 where unknown."""

    def _load(self) -> LoadedImages:
        images = self._images()
        labels = np.array([image.label for image in images])
        parts = self._parts(images, labels)
        pixels = decode_all(
            {
                image.file.shown: partial(image.file.decode, self.image_size, image.box)
                for image in images
            },
            3,
            (self.image_size, self.image_size),
        )
        tracks = np.array([image.track for image in images])
        self.tracks = {part: tracks[parts == code].tolist() for part, code in CODES.items()}
        return LoadedImages(
            TensorImages(torch.from_numpy(pixels), torch.from_numpy(labels)), parts, CLASSES
        )

    def _images(self) -> list[_Image]:
        files = dict(_walk(Path(self.root)))
        folders: dict[str, list[str]] = {}
        for name in files:
            if match := _TRAINING.search(name):
                folders.setdefault(name[: match.start()], []).append(name)
        if not folders:
            raise UsageError(
                f"{self.root} holds no images <class>/<track>_<frame>.ppm, neither in folders nor "
                f"in zip files; fetch the training set from {HOMEPAGE} or point --data.root at it"
            )
        final = [folder for folder in folders if "Final_Training" in folder]
        images: dict[tuple[int, int, int], _Image] = {}
        for folder in final or folders:
            boxes = self._boxes(files, folder) if self.crop_to_sign else {}
            for name in sorted(folders[folder]):
                label, track, frame = map(int, _TRAINING.search(name).groups())  # type: ignore[union-attr]
                if label >= len(CLASSES):
                    raise UsageError(
                        f"{files[name].shown}: class {label} is outside the {len(CLASSES)} "
                        "classes 00000 to 00042; remove that folder"
                    )
                box = _box_of(name, files[name].shown, boxes) if self.crop_to_sign else None
                images[label, track, frame] = _Image(
                    files[name], label, label * 100_000 + track, box, TRAIN
                )
        ordered = [images[key] for key in sorted(images)]
        return ordered + list(self._final_test(files))

    def _final_test(self, files: dict[str, _File]) -> Iterator[_Image]:
        truth = next((name for name in files if name.split("/")[-1] == _FINAL_TRUTH), None)
        if truth is None:
            return
        rows = {row["Filename"]: row for row in _rows(files[truth], "Filename", "ClassId")}
        for name in sorted(filter(_FINAL_TEST.search, files)):
            row = rows.get(name.split("/")[-1])
            if row is None:
                raise UsageError(
                    f"{files[name].shown} is not listed in {files[truth].shown}; "
                    f"fetch both again from {HOMEPAGE}"
                )
            box = _box(row, files[truth].shown) if self.crop_to_sign else None
            yield _Image(files[name], _number(row, "ClassId", files[truth].shown), -1, box, TEST)

    def _boxes(self, files: dict[str, _File], folder: str) -> dict[str, Box]:
        tables = [
            name
            for name in files
            if name.startswith(folder) and re.search(r"/?\d{5}/GT-\d{5}\.csv$", name)
        ]
        return {
            f"{table.rsplit('/', 1)[0]}/{row['Filename']}": _box(row, files[table].shown)
            for table in tables
            for row in _rows(files[table], "Filename", "Roi.X1")
        }

    def _parts(self, images: list[_Image], labels: np.ndarray) -> np.ndarray:
        parts = np.array([image.part for image in images], dtype=np.uint8)
        tracks = np.array([image.track for image in images])
        if not (parts == TEST).any():
            parts[hold_out(labels, self.test_fraction, tracks)] = TEST
        rest = np.flatnonzero(parts == TRAIN)
        parts[rest[hold_out(labels[rest], self.val_fraction, tracks[rest])]] = VAL
        return parts


def _walk(root: Path) -> Iterator[tuple[str, _File]]:
    """Every file under ``root`` and in the zip files there, by its path with slashes."""
    if root.is_file():
        yield from _members(root)
        return
    if not root.is_dir():
        raise UsageError(
            f"{root} is neither a folder nor a zip file; fetch the images from {HOMEPAGE} "
            "or point --data.root at them"
        )
    for path in sorted(root.glob("*.zip")):
        yield from _members(path)
    # What is unpacked comes after, and so takes the place of the same file in a zip.
    for folder, _, names in os.walk(root, followlinks=True):
        for name in names:
            path = Path(folder, name)
            yield path.relative_to(root).as_posix(), _File(str(path), path.read_bytes)


def _members(path: Path) -> Iterator[tuple[str, _File]]:
    try:
        archive = ZipFile(path)
    except BadZipFile as error:
        raise UsageError(
            f"{path} is a damaged zip file ({error}); fetch it again from {HOMEPAGE}"
        ) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    for name in archive.namelist():
        yield name, _File(f"{path}:{name}", partial(archive.read, name))


def _rows(file: _File, *columns: str) -> list[dict[str, str]]:
    try:
        rows = list(csv.DictReader(io.StringIO(file.read().decode("utf-8-sig")), delimiter=";"))
    except (OSError, BadZipFile, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"{file.shown} cannot be read ({error}); fetch it again from {HOMEPAGE}"
        ) from error
    if not rows or not set(columns) <= set(rows[0]):
        raise UsageError(
            f"{file.shown} lacks the columns {', '.join(columns)}, separated by ';'; "
            f"fetch it again from {HOMEPAGE}"
        )
    return rows


def _number(row: dict[str, str], column: str, shown: str) -> int:
    try:
        return int(row[column])
    except (KeyError, TypeError, ValueError):
        raise UsageError(
            f"{shown}: {column} of {row['Filename']} is {row.get(column)!r} and not a number; "
            f"fetch it again from {HOMEPAGE}"
        ) from None


def _box(row: dict[str, str], shown: str) -> Box:
    left, upper, right, lower = (
        _number(row, column, shown) for column in ("Roi.X1", "Roi.Y1", "Roi.X2", "Roi.Y2")
    )
    if not (0 <= left < right and 0 <= upper < lower):
        raise UsageError(
            f"{shown}: the box of {row['Filename']} is empty; fetch it again from {HOMEPAGE}"
        )
    return left, upper, right, lower


def _box_of(name: str, shown: str, boxes: dict[str, Box]) -> Box:
    if name not in boxes:
        raise UsageError(
            f"crop_to_sign needs the box of {shown}, and no GT-<class>.csv beside it lists it; "
            "add the publisher's csv files or set crop_to_sign to false"
        )
    return boxes[name]
