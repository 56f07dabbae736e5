"""The stack of electron microscopy, split by slices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from zoo.plugin import UsageError
from zoo_segmentation.data.isbi2012 import IMAGES, ISBI2012, LABELS
from zoo_segmentation.data.stacks import read_stack, write_stack


@pytest.fixture
def root(tmp_path) -> Path:
    """Twelve slices of 20x16 pixels whose values tell their slice; membranes are dark."""
    images = np.arange(12, dtype=np.uint8)[:, None, None] * 10 + np.zeros((20, 16), dtype=np.uint8)
    labels = np.full((12, 20, 16), 255, dtype=np.uint8)
    labels[:, :, 7:9] = 0
    images[labels == 0] += 5
    tifffile.imwrite(tmp_path / IMAGES, images)
    tifffile.imwrite(tmp_path / LABELS, labels)
    return tmp_path


def raw(data: ISBI2012, monkeypatch) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name to the volume as it is before normalization."""
    return {c.name: (c.read().image, c.read().label) for c in data._list().cases}


def test_the_first_slices_train_and_the_last_test(root, monkeypatch):
    data = ISBI2012(str(root), test_slices=3, val_slices=2, patch_size=[4, 8, 8])
    volumes = raw(data, monkeypatch)
    assert list(volumes) == ["slices 0 to 6", "slices 7 to 8", "slices 9 to 11"]
    image, label = volumes["slices 9 to 11"]
    assert image.shape == (1, 3, 20, 16)
    assert image[0, :, 0, 0].tolist() == [90, 100, 110]
    assert image.dtype == np.float32
    # Class 1 is membrane, which is 0 in the file.
    assert np.array_equal(label == 1, image[0] % 10 == 5)
    facts = data.facts
    assert facts["label_names"] == ["cell", "membrane"]
    assert facts["spatial_dims"] == 3
    assert facts["spacing"] == [5e-5, 4e-6, 4e-6]
    assert facts["preprocessing"] == {"normalize_by": "slice"}
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (1, 1, 4, 8, 8)
    assert len(data.train_dataloader()) == facts["train_size"] == 64


def test_every_slice_can_be_an_image_of_its_own(root):
    data = ISBI2012(str(root), slices=True, test_slices=3, val_slices=2, patch_size=[8, 8])
    assert data.facts["spatial_dims"] == 2
    assert data.facts["train_volumes"] == 7
    assert data.facts["spacing"] == [4e-6, 4e-6]
    assert [batch["name"][0] for batch in data.test_dataloader()] == [
        "slice 9",
        "slice 10",
        "slice 11",
    ]
    batch = next(iter(data.test_dataloader()))
    assert batch["image"].shape == (1, 1, 20, 16)
    assert batch["label"].shape == (1, 1, 20, 16)
    assert batch["spacing"].shape == (1, 2)
    assert next(iter(data.train_dataloader()))["image"].shape == (1, 1, 8, 8)


def test_slices_are_normalized_one_by_one(root):
    data = ISBI2012(str(root), split="all")
    (batch,) = data.test_dataloader()
    assert batch["name"] == ["slices 0 to 11"]
    means = batch["image"][0, 0].mean(dim=(1, 2))
    assert torch.allclose(means, torch.zeros(12), atol=1e-5)


def test_no_validation_part_is_allowed(root):
    data = ISBI2012(str(root), val_slices=0)
    assert data.val_dataloader() == []
    assert data.facts["image_size"] == [6, 20, 16]


def test_missing_files_are_told(root):
    (root / LABELS).unlink()
    with pytest.raises(UsageError, match=rf"there is no .*{LABELS}; fetch .* --data\.root"):
        ISBI2012(str(root)).setup()


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (IMAGES, np.zeros((12, 20, 16), dtype=np.uint16), "holds uint16 values .* 8-bit"),
        (IMAGES, np.zeros((12, 20, 16), dtype=np.float32), "holds float32 values"),
        (LABELS, np.zeros((12, 20, 15), dtype=np.uint8), "12x20x15 voxels and .* 12x20x16"),
        (LABELS, np.full((12, 20, 16), 7, dtype=np.uint8), "holds the value 7; labels are 0"),
        (IMAGES, np.zeros((12, 20, 16, 3), dtype=np.uint8), "slices of 20x16x3 values; .* gray"),
    ],
    ids=["16 bit", "float", "shape", "labels", "color"],
)
def test_stacks_that_do_not_fit_are_told(root, name, array, message):
    tifffile.imwrite(root / name, array)
    with pytest.raises(UsageError, match=message) as caught:
        ISBI2012(str(root)).setup()
    assert str(root / name) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda data: b"", "is an empty file"),
        (lambda data: b"no picture", "is not a readable TIFF file"),
        (lambda data: data[:200], "is not a readable TIFF file"),
        (lambda data: data[:2000], "is damaged or cut short"),
        (lambda data: data[:-1500], "is damaged or cut short"),
    ],
    ids=["empty", "text", "start", "cut", "end"],
)
def test_damaged_stacks_are_told(root, content, message):
    path = root / IMAGES
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(UsageError, match=message) as caught:
        ISBI2012(str(root)).setup()
    assert str(path) in str(caught.value)


def test_slices_of_two_sizes_are_told(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.zeros((8, 8), dtype=np.uint8))
        file.write(np.zeros((8, 9), dtype=np.uint8))
    with pytest.raises(UsageError, match="slices of 2 sizes"):
        read_stack(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"test_slices": 10, "val_slices": 2}, "12 slices, of which .* leave none to train on"),
        ({"test_slices": -1}, "test_slices has to be 0 or more"),
        ({"slices": True, "patch_size": [4, 8, 8]}, "patch_size"),
    ],
)
def test_splits_that_leave_nothing_are_refused(root, arguments, message):
    with pytest.raises(UsageError, match=message):
        ISBI2012(str(root), **arguments).setup()


@pytest.mark.parametrize("shape", [(3, 5, 4), (3, 2, 5, 4), (1, 5, 4)])
def test_stacks_are_written_page_by_page(tmp_path, shape):
    array = np.random.default_rng(0).random(shape).astype(np.float32)
    write_stack(tmp_path / "new" / "a.tif", array)
    with tifffile.TiffFile(tmp_path / "new" / "a.tif") as file:
        assert {page.shape for page in file.pages} == {(5, 4)}
        assert np.array_equal(file.asarray().reshape(shape), array)


def test_the_real_stack(real):
    folder = real("isbi2012")
    data = ISBI2012(str(folder), val_slices=0)
    assert data.facts["image_size"] == [18, 512, 512]
    (test,) = data.test_dataloader()
    assert test["image"].shape == (1, 1, 6, 512, 512)
    assert 0.15 < test["label"].float().mean() < 0.3
    assert read_stack(folder / "test-volume.tif").shape == (10, 512, 512)
