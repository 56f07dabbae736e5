"""Folders of classes and of parts, as people and publishers lay them out."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.plugin import UsageError
from zoo_vision.data.image_folder import ImageFolder
from zoo_vision.data.part_names import part_of

RANDOM = np.random.default_rng(0)


def fill(folder: Path, count: int = 6) -> Path:
    """Noise: no two pictures agree."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = RANDOM.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def load(root: Path, **arguments: object) -> ImageFolder:
    data = ImageFolder(str(root), **{"image_size": 8, **arguments})
    data.setup()
    return data


def sizes(data: ImageFolder) -> tuple[int, ...]:
    return tuple(len(data.samples(part)) for part in ("train", "val", "test"))


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("Train", "Val", "Test"),
        ("TRAINING", "VALIDATION", "TESTING"),
        ("Training", "valid", "Testing"),
        ("train_set", "val_set", "test_set"),
        ("trainset", "devset", "testset"),
        ("01_train", "02_val", "03_test"),
        ("1. Training Data", "2. Validation Data", "3. Test Data"),
        ("train2017", "val2017", "test2017"),
        ("train-images", "val-images", "test-images"),
        ("trn", "dev", "tst"),
        ("seg_train", "seg_val", "seg_test"),
    ],
)
@pytest.mark.parametrize("wrapper", ["", "images", "Some Dataset/data"])
def test_parts_in_any_spelling(tmp_path, train, val, test, wrapper):
    for name in ("cat", "dog"):
        fill(tmp_path / wrapper / train / name)
        fill(tmp_path / wrapper / val / name, 2)
        fill(tmp_path / wrapper / test / name, 3)
    data = load(tmp_path)
    assert data.facts["label_names"] == ["cat", "dog"]
    assert sizes(data) == (12, 4, 6)


def test_the_names_that_are_read_as_parts_are_told(tmp_path, capsys):
    for name in ("cat", "dog"):
        fill(tmp_path / "Training" / name, 10)
        fill(tmp_path / "Testing" / name)
    data = load(tmp_path)
    assert sizes(data) == (16, 4, 12)
    found = [f"{tmp_path}: 32 images", "2 classes", "16/4/12 train/val/test"]
    assert data.describe_found() == found
    said = capsys.readouterr().err
    assert "folders read as parts: Training is train, Testing is test" in said
    assert "no images of a val part: 15% of the training images are taken for it" in said


def test_empty_parts_are_told(tmp_path, capsys):
    for name in ("cat", "dog"):
        fill(tmp_path / "train" / name, 10)
        (tmp_path / "test" / name).mkdir(parents=True)
    assert sizes(load(tmp_path)) == (14, 2, 4)
    said = capsys.readouterr().err
    assert "no images of a test part: 15% of the training images are taken for it" in said
    assert "no images of a val part: 15%" in said


def test_parts_inside_the_classes(tmp_path):
    for name in ("cat", "dog"):
        fill(tmp_path / name / "Train")
        fill(tmp_path / name / "Test", 2)
    assert sizes(load(tmp_path, val_fraction=0)) == (12, 0, 4)
    fill(tmp_path / "fish")
    with pytest.raises(UsageError, match=r"cat holds parts .*fish does not; divide every class"):
        load(tmp_path)


def test_parts_that_are_packed_twice(tmp_path):
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            fill(tmp_path / part / part / name)
    assert sizes(load(tmp_path, val_fraction=0)) == (12, 0, 12)


def test_other_folders_without_images_are_left_alone(tmp_path):
    for part in ("train", "test"):
        (tmp_path / "labels" / part).mkdir(parents=True)
        for name in ("cat", "dog"):
            fill(tmp_path / "images" / part / name)
    assert sizes(load(tmp_path, val_fraction=0)) == (12, 0, 12)


def test_images_of_a_part_without_labels_are_left_out(tmp_path, capsys):
    fill(tmp_path / "train" / "cat", 8)
    fill(tmp_path / "train" / "dog", 8)
    fill(tmp_path / "test", 5)
    assert sum(sizes(load(tmp_path))) == 16
    assert "which are in none and left out: 5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (("train", "test"), r"test/ and train/, which look like parts .*metadata\.csv"),
        (("Training", "Testing", "cat"), "which look like parts"),
        (("train/cat", "train/dog", "eval/cat"), "eval/, of which it is not clear which part"),
        (("train/cat", "train/dog", "extra"), "also extra/, which is not a part"),
        (("train/cat", "Training/cat"), "more than one training folder; keep one of Training, tr"),
        (("test/cat", "test/dog"), r"holds no training images: .*--data\.split all"),
        (("pets/cat", "pets/dog"), r"only the folder pets/.*point --data\.root at it"),
    ],
)
def test_what_might_be_parts_is_never_a_class(tmp_path, folders, message):
    for folder in folders:
        fill(tmp_path / folder)
    with pytest.raises(UsageError, match=message):
        load(tmp_path)


def test_test_images_alone_can_be_tested_on(tmp_path):
    fill(tmp_path / "test" / "cat")
    fill(tmp_path / "test" / "dog")
    assert sizes(load(tmp_path, split="all")) == (0, 0, 12)


@pytest.mark.parametrize(
    ("name", "part"),
    [("train", 0), ("Validation", 1), ("test_images", 2), ("testset1", 2)]
    + [(name, None) for name in ("trainer", "test bench", "contest", "valley", "data", "2017", "")],
)
def test_words_that_mean_parts(name, part):
    assert part_of(name) == part


def test_hidden_folders_and_thumbnails_are_left_out(tmp_path, capsys):
    fill(tmp_path / "cat")
    fill(tmp_path / "dog" / "deeper")
    for folder in (
        "cat/.ipynb_checkpoints",
        "dog/deeper/@eaDir/0.png",
        "dog/.thumbnails",
        "cat/Thumbnails",
        "__MACOSX/cat",
        ".git/x",
    ):
        fill(tmp_path / folder)
    for name in ("._0.png", "Thumbs.db", "desktop.ini", ".DS_Store"):
        (tmp_path / "cat" / name).write_bytes(b"no image")
    for name in ("a.HEIC", "b.heic", "notes.txt", "LICENSE"):
        (tmp_path / "dog" / name).write_bytes(b"no image")
    assert sum(sizes(load(tmp_path))) == 12
    said = capsys.readouterr().err
    assert "not read as images are left out: .heic (2), .txt (1), without a suffix (1)" in said
    assert "left out: .ipynb_checkpoints (1), .thumbnails (1), @eaDir (1), Thumbnails (1)" in said


def test_links_are_followed_but_not_in_circles(tmp_path, capsys):
    fill(tmp_path / "data" / "a")
    fill(tmp_path / "elsewhere")
    (tmp_path / "data" / "b").symlink_to(tmp_path / "elsewhere")
    os.symlink("..", tmp_path / "data" / "a" / "up")
    os.symlink(".", tmp_path / "data" / "a" / "itself")
    data = load(tmp_path / "data")
    assert sizes(data) == (8, 2, 2)
    assert "a/up" in capsys.readouterr().err


def test_a_class_of_one_image_without_parts(tmp_path):
    fill(tmp_path / "common", 5)
    fill(tmp_path / "rare", 1)
    with pytest.raises(UsageError, match=r"'rare' has too few images .* val_fraction and test"):
        load(tmp_path)
    data = load(tmp_path, val_fraction=0, test_fraction=0)
    assert sizes(data) == (6, 0, 0)
    assert data.val_dataloader() == []
    with pytest.raises(UsageError, match="no image is in the test part"):
        data.test_dataloader()


@pytest.mark.parametrize("memory_mb", [0, 100])
def test_a_part_that_lacks_classes_and_constant_images_are_told(tmp_path, capsys, memory_mb):
    for name in "abc":
        fill(tmp_path / "train" / name)
    fill(tmp_path / "val" / "b", 2)
    Image.new("RGB", (9, 9), "navy").save(tmp_path / "train" / "c" / "blue.png")
    load(tmp_path, memory_mb=memory_mb)
    said = capsys.readouterr().err
    assert "the val part has no image of 2 of 3 classes: a, c" in said
    assert "images of one color all over: 1 of 21, the first is" in said
    assert "c/blue.png" in said


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    fill(tmp_path / "cat")
    fill(tmp_path / "dog" / "deeper")
    scan = os.scandir

    def refuse(path: object = ".") -> object:
        if str(path).endswith("deeper"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UsageError, match=r"deeper cannot be read: Permission denied"):
        load(tmp_path)
