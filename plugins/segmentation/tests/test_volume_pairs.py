"""Which folders are parts, and which files belong together."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.plugin import UsageError
from zoo_segmentation.data.volume_pairs import find_folders
from zoo_segmentation.data.volumes import TEST, TRAIN, VAL


def make(root: Path, *folders: str) -> Path:
    for folder in folders:
        (root / folder).mkdir(parents=True)
    return root


def parts(root: Path) -> list[tuple[str, int]]:
    return [(str(images.relative_to(root)), part) for images, _, part in find_folders(root)]


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [("train", "val", "test"), ("Training", "Validation", "Testing"), ("TRAIN", "valid", "ts")],
)
def test_parts_are_read_in_any_spelling(tmp_path, train, val, test):
    make(tmp_path, *(f"{part}/{kind}" for part in (train, val, test) for kind in KINDS))
    assert parts(tmp_path) == [
        (f"{train}/images", TRAIN),
        (f"{val}/images", VAL),
        (f"{test}/images", TEST),
    ]


KINDS = ("images", "labels")


def test_a_test_part_may_lie_beside_the_others(tmp_path):
    make(tmp_path, *KINDS, *(f"test/{kind}" for kind in KINDS))
    assert parts(tmp_path) == [("images", TRAIN), ("test/images", TEST)]


def test_labelled_test_images_of_nnunet_are_the_test_part(tmp_path):
    make(tmp_path, "imagesTr", "labelsTr", "imagesTs")
    assert parts(tmp_path) == [("imagesTr", TRAIN)]
    make(tmp_path, "labelsTs")
    assert parts(tmp_path) == [("imagesTr", TRAIN), ("imagesTs", TEST)]


@pytest.mark.parametrize(
    "folders",
    [
        [*KINDS, *(f"train/{kind}" for kind in KINDS)],
        [f"{part}/{kind}" for part in ("train", "Training") for kind in KINDS],
        [*KINDS, "imagesTr", "labelsTr"],
    ],
)
def test_one_part_in_two_places_is_refused(tmp_path, folders):
    make(tmp_path, *folders)
    with pytest.raises(UsageError, match="both hold training volumes; keep one, or name"):
        find_folders(tmp_path)


@pytest.mark.parametrize("folders", [[], ["images"], ["test/images"]])
def test_missing_folders_are_told(tmp_path, folders):
    make(tmp_path, *folders)
    with pytest.raises(UsageError, match=r"has no folders images/ and labels/; put your volumes"):
        find_folders(tmp_path)
