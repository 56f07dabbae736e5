"""The German Traffic Sign Recognition Benchmark, from its publisher's or Kaggle's files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from zoo.plugin import Part, UsageError, at_least, fractions
from zoo_vision.data.decoding import Box, decode_all
from zoo_vision.data.gtsrb_files import HOMEPAGE, File, box, find_files, number, read_rows
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
_TRAINING = (
    re.compile(r"(?:^|/)(\d{5})/(\d{5})_(\d{5})\.ppm$", re.IGNORECASE),
    re.compile(r"(?:^|/)(\d{1,2})/\d{5}_(\d{5})_(\d{5})\.png$", re.IGNORECASE),  # Kaggle's
)
_FINAL_TEST = re.compile(r"(?:^|/)Final_Test/Images/(\d{5})\.ppm$")
_FINAL_TRUTH = "GT-final_test.csv"
_KAGGLE_TEST = re.compile(r"(?:^|/)Test/\d{5}\.png$", re.IGNORECASE)


@dataclass(frozen=True)
class _Image:
    file: File
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

    Read in place, unpacked or as zip files, from the publisher:
    ``Training/<class>/<track>_<frame>.ppm`` or
    ``Final_Training/Images/<class>/<track>_<frame>.ppm`` (which holds all the images of the
    former and is used alone where both are), and, as the test part where it is there,
    ``Final_Test/Images/<number>.ppm`` with ``GT-final_test.csv``. Or from Kaggle:
    ``Train/<class>/<class>_<track>_<frame>.png`` with ``Train.csv``, ``Test/<number>.png`` with
    ``Test.csv``. Without a table of the test images ``test_fraction`` of the tracks are the test
    part.

    Args:
        root: The folder with the folders or zip files, or one zip file.
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
        self._tracks = np.empty(0, dtype=np.int64)

    @property
    def tracks(self) -> dict[Part, list[int]]:
        """For each part the track of each image, as class * 100,000 + track; -1 where unknown."""
        self._read()
        return {part: self._tracks[self._codes == code].tolist() for part, code in CODES.items()}

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
        self._tracks = np.array([image.track for image in images])
        return LoadedImages(
            TensorImages(torch.from_numpy(pixels), torch.from_numpy(labels)),
            parts,
            CLASSES,
            names=[self._relative(image.file.shown) for image in images],
            groups=[f"{track // 100_000:05d}/{track % 100_000:05d}" for track in self._tracks],
            group_name="track",
        )

    def _relative(self, shown: str) -> str:
        """A file's name below the root."""
        return shown.removeprefix(self.root).lstrip("/")

    def _images(self) -> list[_Image]:
        files = dict(find_files(Path(self.root)))
        folders: dict[str, list[tuple[str, re.Match[str]]]] = {}
        for name in sorted(files):
            if match := next(filter(None, (each.search(name) for each in _TRAINING)), None):
                folders.setdefault(name[: match.start()], []).append((name, match))
        if not folders:
            raise UsageError(
                f"{self.root} holds no images <class>/<track>_<frame>.ppm, nor Kaggle's "
                "<class>/<class>_<track>_<frame>.png, neither in folders nor in zip files; fetch "
                f"the training set from {HOMEPAGE} or point --data.root at it"
            )
        final = [folder for folder in folders if "Final_Training" in folder]
        images: dict[tuple[int, int, int], _Image] = {}
        for folder in final or folders:
            boxes = self._boxes(files, folder) if self.crop_to_sign else {}
            for name, match in folders[folder]:
                label, track, frame = map(int, match.groups())
                if label >= len(CLASSES):
                    raise UsageError(
                        f"{files[name].shown}: class {label} is outside the {len(CLASSES)} "
                        "classes 00000 to 00042; remove that folder"
                    )
                sign = _box_of(name, files[name].shown, boxes) if self.crop_to_sign else None
                images[label, track, frame] = _Image(
                    files[name], label, label * 100_000 + track, sign, TRAIN
                )
        ordered = [images[key] for key in sorted(images)]
        return ordered + (list(self._final_test(files)) or list(self._kaggle_test(files)))

    def _final_test(self, files: dict[str, File]) -> Iterator[_Image]:
        truth = next((name for name in files if name.split("/")[-1] == _FINAL_TRUTH), None)
        if truth is None:
            return
        rows = {row["Filename"]: row for row in read_rows(files[truth], "Filename", "ClassId")}
        for name in sorted(filter(_FINAL_TEST.search, files)):
            row = rows.get(name.split("/")[-1])
            if row is None:
                raise UsageError(
                    f"{files[name].shown} is not listed in {files[truth].shown}; "
                    f"fetch both again from {HOMEPAGE}"
                )
            yield self._test_image(files[name], row, files[truth].shown)

    def _kaggle_test(self, files: dict[str, File]) -> Iterator[_Image]:
        truth = next((name for name in files if name.split("/")[-1].lower() == "test.csv"), None)
        if truth is None:
            return
        folder = truth.rpartition("/")[0]
        shown = files[truth].shown
        there = {name.lower(): name for name in files}
        listed = set()
        for row in read_rows(files[truth], "Path", "ClassId", delimiter=","):
            name = there.get(f"{folder}/{row['Path']}".lstrip("/").lower())
            if name is None:
                raise UsageError(
                    f"{shown} lists {row['Path']}, which is not there; unpack the archive again"
                )
            listed.add(name.lower())
            yield self._test_image(files[name], row, shown)
        for name in sorted(filter(_KAGGLE_TEST.search, files)):
            beside = name.rpartition("/")[0].rpartition("/")[0]
            if beside == folder and name.lower() not in listed:
                raise UsageError(
                    f"{files[name].shown} is not listed in {shown}; unpack the archive again"
                )

    def _test_image(self, file: File, row: dict[str, str], table: str) -> _Image:
        sign = box(row, table) if self.crop_to_sign else None
        return _Image(file, number(row, "ClassId", table), -1, sign, TEST)

    def _boxes(self, files: dict[str, File], folder: str) -> dict[str, Box]:
        """By the image's name in lower case."""
        boxes: dict[str, Box] = {}
        kaggle = f"{folder}.csv".lower()
        for name, file in files.items():
            if name.startswith(folder) and re.search(r"/?\d{5}/GT-\d{5}\.csv$", name):
                column, delimiter = "Filename", ";"
            elif name.lower() == kaggle:
                column, delimiter = "Path", ","
            else:
                continue
            beside = name.rpartition("/")[0]
            for row in read_rows(file, column, "Roi.X1", delimiter=delimiter):
                boxes[f"{beside}/{row[column]}".lstrip("/").lower()] = box(row, file.shown)
        return boxes

    def _parts(self, images: list[_Image], labels: np.ndarray) -> np.ndarray:
        parts = np.array([image.part for image in images], dtype=np.uint8)
        tracks = np.array([image.track for image in images])
        if not (parts == TEST).any():
            parts[hold_out(labels, self.test_fraction, tracks)] = TEST
        rest = np.flatnonzero(parts == TRAIN)
        parts[rest[hold_out(labels[rest], self.val_fraction, tracks[rest])]] = VAL
        return parts


def _box_of(name: str, shown: str, boxes: dict[str, Box]) -> Box:
    if name.lower() not in boxes:
        raise UsageError(
            f"crop_to_sign needs the box of {shown}, and no GT-<class>.csv or Train.csv lists it; "
            "add the publisher's csv files or set crop_to_sign to false"
        )
    return boxes[name.lower()]
