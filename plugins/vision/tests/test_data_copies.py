"""The same picture twice is told, and is never in two parts."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.plugin import UsageError
from zoo_vision.data.copies import find_copies
from zoo_vision.data.image_folder import ImageFolder
from zoo_vision.data.sources import FILES

PARTS = ("train", "val", "test")


def fill(folder: Path, count: int, seed: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    for number in range(count):
        pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(np.kron(pixels, np.ones((4, 4, 1), np.uint8))).save(
            folder / f"{number}.png"
        )
    return folder


def load(root: Path, **arguments: object) -> ImageFolder:
    data = ImageFolder(str(root), **{"image_size": 8, **arguments})
    data.setup()
    return data


def pictures(data: ImageFolder, part: str) -> set[bytes]:
    images = data.samples(part)
    return {image.numpy().tobytes() for image in images.images}


def test_equal_files_and_equal_pictures_under_one_name_are_found(tmp_path):
    fill(tmp_path, 4, 0)
    shutil.copy(tmp_path / "0.png", tmp_path / "copy of 0.png")
    for suffix in (".bmp", ".jpg"):
        Image.open(tmp_path / "1.png").save(tmp_path / f"1{suffix}", quality=90)
    Image.open(tmp_path / "3.png").save(tmp_path / "2.jpg")  # one name, another picture
    (tmp_path / "broken.png").write_bytes(b"no image")
    paths = sorted(str(path) for path in tmp_path.iterdir())
    names = [Path(path).name for path in paths]
    groups: dict[int, set[str]] = {}
    for name, first in zip(names, find_copies(paths, FILES), strict=True):
        groups.setdefault(int(first), set()).add(name)
    assert [group for group in groups.values() if len(group) > 1] == [
        {"0.png", "copy of 0.png"},
        {"1.bmp", "1.jpg", "1.png"},
    ]


def test_files_that_differ_late_are_no_copies(tmp_path):
    for name, last in (("a", b"1"), ("b", b"2"), ("c", b"2")):
        (tmp_path / name).write_bytes(bytes(70_000) + last)
    assert find_copies([str(tmp_path / name) for name in "abc"], FILES).tolist() == [0, 1, 1]


def test_copies_of_one_class_stay_in_one_part(tmp_path, capsys):
    for seed, name in enumerate("ab"):
        fill(tmp_path / name, 10, seed)
        for number in range(10):
            shutil.copy(tmp_path / name / f"{number}.png", tmp_path / name / f"{number}_copy.png")
    data = load(tmp_path, val_fraction=0.3, test_fraction=0.3)
    found = [pictures(data, part) for part in PARTS]
    assert sum(map(len, found)) == len(set.union(*found)) == 20
    assert all(found)
    said = capsys.readouterr().err
    assert "copies of others in their class: 20 (" in said
    assert "a/0.png = " in said


def test_a_copy_in_another_part_stays_in_the_test(tmp_path, capsys):
    for seed, part in enumerate(PARTS):
        for offset, name in enumerate("ab"):
            fill(tmp_path / part / name, 4, 10 * seed + offset)
    shutil.copy(tmp_path / "train" / "a" / "0.png", tmp_path / "test" / "a" / "x.png")
    shutil.copy(tmp_path / "train" / "b" / "1.png", tmp_path / "val" / "b" / "x.png")
    data = load(tmp_path)
    assert [len(data.samples(part)) for part in PARTS] == [6, 9, 9]
    assert data.facts["train_size"] == 6
    said = capsys.readouterr().err
    assert "24 images" not in said
    assert "in another part again: 2 (train/a/0.png = test/a/x.png, train/b/1.png = val/b" in said
    assert len(load(tmp_path, split="all").samples("test")) == 26


def test_one_picture_in_two_classes_is_left_out(tmp_path, capsys):
    fill(tmp_path / "a", 6, 0)
    fill(tmp_path / "b", 6, 1)
    shutil.copy(tmp_path / "a" / "0.png", tmp_path / "b" / "x.png")
    assert sum(len(load(tmp_path).samples(part)) for part in PARTS) == 11
    assert "same picture in several classes: 2 (" in capsys.readouterr().err
    assert len(load(tmp_path, split="all").samples("test")) == 11


def test_a_class_without_a_picture_of_its_own_is_refused(tmp_path):
    fill(tmp_path / "a", 6, 0)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    with pytest.raises(UsageError, match="every image of class 'a' is the same picture as one of"):
        load(tmp_path)
