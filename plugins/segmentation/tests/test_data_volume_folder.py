"""A user's own images and labels."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from zoo.plugin import UsageError
from zoo_segmentation.data.channel_files import channel_files
from zoo_segmentation.data.volume_folder import VolumeFolder

SHAPE = (9, 8, 7)


def image(*channels: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(*SHAPE, *channels)).astype(np.float32)


def label(top: int = 3) -> np.ndarray:
    return (np.arange(np.prod(SHAPE)).reshape(SHAPE) % top).astype(np.uint8)


@pytest.fixture
def root(tmp_path, nifti) -> Path:
    for number in range(10):
        nifti(tmp_path / "images" / f"case{number}.nii.gz", image())
        nifti(tmp_path / "labels" / f"case{number}.nii.gz", label())
    (tmp_path / "images" / "notes.txt").write_text("about")
    (tmp_path / "images" / "._case0.nii.gz").write_bytes(b"a Mac's")
    return tmp_path


def load(root: Path, **arguments) -> VolumeFolder:
    data = VolumeFolder(str(root), **{"patch_size": [4, 4, 4], **arguments})
    data.setup()
    return data


def names(loader) -> list[str]:
    return [batch["name"][0] for batch in loader]


def test_images_and_labels_of_one_name_belong_together(root):
    data = load(root)
    assert data.facts["label_names"] == ["background", "1", "2"]
    assert data.facts["in_channels"] == 1
    assert data.facts["train_volumes"] == 7
    assert names(data.test_dataloader()) == ["case8", "case9"]
    named = load(root, label_names=["nothing", "left", "right", "middle"])
    assert named.facts["num_classes"] == 4


def test_folders_of_parts_are_used_as_they_are(tmp_path, nifti):
    for part, count in (("train", 4), ("test", 3)):
        for number in range(count):
            nifti(tmp_path / part / "images" / f"{part}{number}.nii", image())
            nifti(tmp_path / part / "labels" / f"{part}{number}.nii", label())
    data = load(tmp_path, val_fraction=0.25)
    assert names(data.test_dataloader()) == ["test0", "test1", "test2"]
    assert data.facts["train_volumes"] == 3
    assert len(names(data.val_dataloader())) == 1
    shutil.copytree(tmp_path / "test", tmp_path / "val")
    assert load(tmp_path).facts["train_volumes"] == 4


def test_channels_lie_in_one_file_or_in_one_each(tmp_path, nifti):
    together, apart_ = tmp_path / "together", tmp_path / "apart"
    values = image(2)
    for number in range(5):
        nifti(together / "images" / f"case{number}.nii.gz", values)
        nifti(together / "labels" / f"case{number}.nii.gz", label())
        nifti(apart_ / "labelsTr" / f"case{number}.nii.gz", label())
        for channel in range(2):
            path = apart_ / "imagesTr" / f"case{number}_{channel:04}.nii.gz"
            nifti(path, values[..., channel])
    one, two = load(together), load(apart_)
    assert one.facts == two.facts
    assert one.facts["in_channels"] == 2
    for first, second in zip(one.test_dataloader(), two.test_dataloader(), strict=True):
        assert np.array_equal(first["image"], second["image"])
    (apart_ / "imagesTr" / "case3_0001.nii.gz").unlink()
    with pytest.raises(UsageError, match=r"lacks case3_0001\.nii\.gz beside case3_0000"):
        load(apart_)


def test_the_files_of_an_image(tmp_path, nifti):
    for name in ("a_0000", "a_0001", "ab_0000", "b"):
        nifti(tmp_path / f"{name}.nii.gz", image())
    found = channel_files(tmp_path / "a_0000.nii.gz")
    assert [path.name for path in found] == ["a_0000.nii.gz", "a_0001.nii.gz"]
    assert channel_files(tmp_path / "b.nii.gz") == [tmp_path / "b.nii.gz"]


def test_channels_on_other_grids_are_told(tmp_path, nifti):
    for number in range(5):
        nifti(tmp_path / "labels" / f"case{number}.nii.gz", label())
        for channel in range(2):
            affine = np.diag([1.0, 1, 1 + (number == 4) * channel, 1])
            nifti(tmp_path / "images" / f"case{number}_{channel:04}.nii.gz", image(), affine)
    with pytest.raises(UsageError, match=r"case4_0001.* and .*case4_0000.* not lie on one grid"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: shutil.rmtree(root), "is not a folder; point --data.root"),
        (lambda root: shutil.rmtree(root / "labels"), "has no folders images/ and labels/"),
        (
            lambda root: [p.unlink() for p in (root / "labels").iterdir()],
            "labels holds no .nii, .nii.gz or .tif files",
        ),
        (
            lambda root: (root / "images" / "case3.nii.gz").unlink(),
            "there is no image of case3 in .*images",
        ),
        (
            lambda root: [(root / "labels" / f"case{n}.nii.gz").unlink() for n in (3, 4)],
            r"there is no label map of case3 \(nor of 1 more\) in .*labels",
        ),
        (
            lambda root: (root / "images" / "case3.nii.gz").write_bytes(b""),
            r"case3\.nii\.gz is an empty file",
        ),
        (
            lambda root: (root / "labels" / "case3.nii.gz").write_bytes(b"text"),
            r"labels/case3\.nii\.gz is not a readable NIfTI file",
        ),
    ],
    ids=["missing", "no labels", "empty labels", "image", "labels", "empty file", "damaged"],
)
def test_folders_that_cannot_be_trained_on_are_refused(root, make, message):
    make(root)
    with pytest.raises(UsageError, match=message):
        load(root)


def test_labels_that_are_no_classes_are_told(root, nifti):
    path = root / "labels" / "case2.nii.gz"
    nifti(path, label() + np.float32(0.5))
    with pytest.raises(UsageError, match=r"case2\.nii\.gz: 504 voxels of 504 have labels"):
        load(root)
    nifti(path, label().astype(np.int32) * 1000)
    with pytest.raises(UsageError, match=r"case2\.nii\.gz has labels up to 2000"):
        load(root)
    nifti(path, label(5))
    with pytest.raises(UsageError, match=r"no class \(3, 4\)"):
        load(root, label_names=["nothing", "left", "right"])


def test_too_few_volumes_to_split_are_told(tmp_path, nifti):
    nifti(tmp_path / "images" / "a.nii", image())
    nifti(tmp_path / "labels" / "a.nii", label())
    with pytest.raises(UsageError, match=r"holds 1 volume\(s\), too few to split"):
        load(tmp_path)
    assert names(load(tmp_path, split="all").test_dataloader()) == ["a"]


def test_arguments_out_of_range_are_refused():
    with pytest.raises(UsageError, match="label_names"):
        VolumeFolder(label_names=["only"])
