"""A user's own class folders."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.plugin import UsageError
from zoo_vision.data import image_folder
from zoo_vision.data.image_folder import ImageFiles, ImageFolder
from zoo_vision.data.images import TensorImages

PARTS = ("train", "val", "test")


def images(folder: Path, count: int, suffix: str = ".png", start: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    green, blue = divmod(zlib.crc32(str(folder).encode()) % 2**16, 256)  # no two folders agree
    for number in range(start, start + count):
        image = Image.new("RGB", (30, 20), (9 * number, green, blue))
        image.putpixel((0, 0), (255, 255, 255))
        image.save(folder / f"{number:03}{suffix}")
    return folder


@pytest.fixture
def root(tmp_path) -> Path:
    images(tmp_path / "cat", 20)
    images(tmp_path / "ant", 10, ".jpg")
    return tmp_path


def load(root: Path, **arguments) -> ImageFolder:
    data = ImageFolder(str(root), **{"image_size": 16, "batch_size": 4, **arguments})
    data.setup()
    return data


def sizes(data: ImageFolder) -> list[int]:
    return [len(data.samples(part)) for part in PARTS]


def batches(loader) -> list[tuple[np.ndarray, list[int]]]:
    return [(pixels.numpy(), labels.tolist()) for pixels, labels in loader]


def test_folders_are_classes_split_stratified_and_fixed(root):
    data = load(root, val_fraction=0.1, test_fraction=0.2)
    assert data.facts["label_names"] == ["ant", "cat"]
    assert data.facts["image_size"] == [16, 16]
    assert sizes(data) == [21, 3, 6]
    labels = data.samples("test").labels
    assert labels.bincount().tolist() == [2, 4]
    again = load(root, val_fraction=0, test_fraction=0.2, seed=9)
    assert sizes(again) == [24, 0, 6]
    assert np.array_equal(again.samples("test").images, data.samples("test").images)
    assert sizes(load(root, split="all")) == [0, 0, 30]


def test_folders_of_parts_are_used_as_they_are(tmp_path):
    for part, count in (("train", 6), ("val", 2), ("test", 3)):
        images(tmp_path / part / "cat", count)
        images(tmp_path / part / "ant", count)
    assert sizes(load(tmp_path)) == [12, 4, 6]
    shutil.rmtree(tmp_path / "test")
    (tmp_path / "val").rename(tmp_path / "validation")
    assert sizes(load(tmp_path, test_fraction=0.34)) == [8, 4, 4]


def test_a_class_may_be_called_train(tmp_path):
    images(tmp_path / "train", 5)
    images(tmp_path / "plane", 5)
    assert load(tmp_path).facts["label_names"] == ["plane", "train"]


def test_other_files_are_left_alone(root):
    (root / "README.md").write_text("about")
    (root / "cat" / "notes.txt").write_text("about")
    (root / "cat" / ".hidden.png").write_text("about")
    (root / ".cache").mkdir()
    images(root / "cat" / "deeper", 2, ".JPG")
    assert sum(sizes(load(root))) == 32


def test_large_folders_are_decoded_by_batch_to_the_same_pixels(root):
    kept, decoded = load(root), load(root, memory_mb=0)
    assert isinstance(kept.samples("train"), TensorImages)
    assert isinstance(decoded.samples("train"), ImageFiles)
    assert kept.facts == decoded.facts
    for first, second in zip(
        batches(kept.train_dataloader()), batches(decoded.train_dataloader()), strict=True
    ):
        assert np.array_equal(first[0], second[0])
        assert first[1] == second[1]


def test_large_folders_are_decoded_in_worker_processes(root):
    one, two = load(root, memory_mb=0), load(root, memory_mb=0, num_workers=2)
    expected = batches(one.test_dataloader())
    assert len(expected) > 1
    for first, second in zip(expected, batches(two.test_dataloader()), strict=True):
        assert np.array_equal(first[0], second[0])
        assert first[1] == second[1]


def test_gray_images_are_made(root):
    images_, _ = next(iter(load(root, in_channels=1).train_dataloader()))
    assert images_.shape == (4, 1, 16, 16)


@pytest.mark.parametrize("memory_mb", [0, 100])
def test_images_that_do_not_decode_are_named_and_counted(root, memory_mb):
    (root / "cat" / "broken.png").write_text("no image")
    path = root / "ant" / "003.jpg"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UsageError, match="2 of 31 image files do not decode") as caught:
        load(root, memory_mb=memory_mb)
    assert str(root / "cat" / "broken.png") in str(caught.value)
    assert str(path) in str(caught.value)


def test_opening_finds_what_is_no_image_and_leaves_the_rest_to_training(root, monkeypatch):
    monkeypatch.setattr(ImageFolder, "statistics_sample", 1)
    path = root / "ant" / "003.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    data = load(root, memory_mb=0, check="open", split="all")
    with pytest.raises(UsageError, match=r"003\.jpg does not decode"):
        list(data.test_dataloader())
    path.write_text("no image")
    with pytest.raises(UsageError, match="1 of 30 image files"):
        load(root, memory_mb=0, check="open")


def test_one_process_of_several_checks(root, monkeypatch):
    (root / "cat" / "broken.png").write_text("no image")
    monkeypatch.setattr(image_folder, "is_rank_zero", lambda: False)
    with pytest.raises(UsageError, match="31 image files"):
        load(root)
    monkeypatch.setattr(ImageFolder, "statistics_sample", 1)
    assert sum(sizes(load(root, memory_mb=0))) == 31


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: shutil.rmtree(root), "is not a folder; point --data.root"),
        (lambda root: shutil.rmtree(root / "cat"), "only the folder ant/; a classifier needs two"),
        (lambda root: [shutil.rmtree(path) for path in root.iterdir()], "holds no folders"),
        (lambda root: (root / "dog").mkdir(), "dog holds no image files"),
        (lambda root: images(root / "dog", 2), "class 'dog' has too few images"),
        (lambda root: images(root / "train" / "dog", 2), r"part train/ and also ant/"),
    ],
    ids=["missing", "one class", "empty", "empty class", "small class", "mixed"],
)
def test_folders_that_cannot_be_trained_on_are_refused(root, make, message):
    make(root)
    with pytest.raises(UsageError, match=message):
        load(root)


def test_parts_have_to_agree_on_the_classes(tmp_path):
    for folder in ("train/cat", "train/ant", "test/dog"):
        images(tmp_path / folder, 4)
    with pytest.raises(UsageError, match=r"dog is a class that .*train lacks"):
        load(tmp_path)


def test_two_validation_folders_are_refused(tmp_path):
    for folder in ("train/cat", "train/ant", "val/cat", "valid/cat"):
        images(tmp_path / folder, 4)
    with pytest.raises(UsageError, match="more than one validation folder; keep one of val, valid"):
        load(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        {"val_fraction": 0.6, "test_fraction": 0.4},
        {"image_size": 0},
        {"in_channels": 4},
        {"check": "no"},
    ],
)
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(UsageError, match=next(iter(arguments))):
        ImageFolder(**arguments)
