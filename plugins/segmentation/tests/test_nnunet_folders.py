"""nnU-Net's raw folders, read in place, and predictions as its tools expect them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import tifffile

import zoo
from zoo.plugin import UsageError
from zoo_segmentation.data.decathlon import Decathlon
from zoo_segmentation.data.volume import IGNORED
from zoo_segmentation.data.volume_folder import VolumeFolder
from zoo_segmentation.pyramid_lstm import SmallPyramidLSTMSegmenter

SHAPE = (9, 8, 7)
ABOUT: dict[str, Any] = {
    "channel_names": {"0": "T1", "1": "T2"},
    "labels": {"background": 0, "tumour": 1},
    "numTraining": 5,
    "file_ending": ".nii.gz",
}


def values(seed: int = 0, *channels: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(*SHAPE, *channels)).astype(np.float32)


@pytest.fixture
def root(tmp_path, nifti) -> Path:
    for number in range(5):
        for channel in range(2):
            path = tmp_path / "imagesTr" / f"case_{number:03}_{channel:04}.nii.gz"
            nifti(path, values(2 * number + channel))
        label = (values(number) > 0).astype(np.uint8)
        nifti(tmp_path / "labelsTr" / f"case_{number:03}.nii.gz", label)
    describe(tmp_path)
    return tmp_path


def describe(root: Path, **changes) -> None:
    content = {k: v for k, v in {**ABOUT, **changes}.items() if v is not None}
    (root / "dataset.json").write_text(json.dumps(content))


def load(root: Path, **arguments) -> VolumeFolder:
    data = VolumeFolder(str(root), **{"patch_size": [4, 4, 4], **arguments})
    data.setup()
    return data


def test_names_of_labels_and_channels_are_taken(root, capsys):
    facts = load(root).facts
    assert facts["label_names"] == ["background", "tumour"]
    assert facts["channel_names"] == ["T1", "T2"]
    assert "numTraining" not in capsys.readouterr().err
    assert load(root, label_names=["a", "b"]).facts["label_names"] == ["a", "b"]
    # A mapping of one's own takes the names with it.
    swapped = load(root, labels={1: 0, 0: 1}).facts
    assert swapped["label_names"] == ["tumour", "background"]
    assert swapped["label_values"] == [1, 0]


def test_the_decathlons_format_is_understood_as_well(root):
    labels = {"0": "background", "1": "tumour"}
    describe(root, labels=labels, modality=ABOUT["channel_names"], channel_names=None,
             file_ending=None)  # fmt: skip
    assert load(root).facts["label_names"] == ["background", "tumour"]
    assert load(root).facts["channel_names"] == ["T1", "T2"]


def test_missing_images_are_told(root, capsys):
    describe(root, numTraining=6)
    load(root)
    assert "says that there are 6 training images, and there are 5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": {"background": 0, "whole": [1, 2]}}, r"trains on regions \(whole: lists"),
        (
            {"labels": {"background": 0, "ignore": 1, "tumour": 2}},
            r"numbers its labels 0, 2, not .*'\{0: 0, 2: 1, 1: -1\}'",
        ),
        ({"labels": {"background": 0, "b": 2}}, r"numbers its labels 0, 2, .*'\{0: 0, 2: 1\}'"),
        ({"labels": {"background": "x"}, "file_ending": ".nii"}, "'x' has to be a whole number"),
        ({"labels": [0, 1]}, "'labels' and 'channel_names' have to be JSON objects"),
        ({"file_ending": ".png"}, r"images end in '\.png'; here they have to be NIfTI"),
        ({"channel_names": {"0": "T1"}}, r"names 1 channel\(s\) \(T1\), and .* have 2"),
        ({"dataset": {}}, "lists files of other folders under 'dataset'"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(root, changes, message):
    describe(root, **changes)
    with pytest.raises(UsageError, match=message):
        load(root)


def test_an_ignored_label_is_taken_as_said(root):
    describe(root, labels={"background": 0, "tumour": 1, "ignore": 2})
    assert load(root, labels={0: 0, 1: 1, 2: 0}).facts["label_names"] == ["background", "tumour"]


def test_an_ignored_label_is_not_counted(root, nifti, capsys):
    describe(root, labels={"background": 0, "tumour": 1, "ignore": 2})
    for path in (root / "labelsTr").iterdir():
        label = (values() > 0).astype(np.uint8)
        label[0] = 2
        nifti(path, label)
    data = load(root)
    assert "names the label 2 'ignore': its voxels are not counted" in capsys.readouterr().err
    assert data.facts["label_names"] == ["background", "tumour"]
    assert set(np.unique(data.samples("train")[0].label)) == {0, 1, IGNORED}


def test_the_decathlon_points_to_the_folder_of_volumes(root):
    with pytest.raises(UsageError, match=r"is nnU-Net's and .* --data volume-folder --data\.root"):
        Decathlon(str(root), patch_size=[4, 4, 4]).setup()


def test_a_volume_under_two_suffixes_is_refused(root, nifti):
    nifti(root / "labelsTr" / "case_003.nii", (values() > 0).astype(np.uint8))
    with pytest.raises(UsageError, match=r"holds both case_003\.nii and case_003\.nii\.gz"):
        load(root)


def model(channels: int, **arguments) -> SmallPyramidLSTMSegmenter:
    return SmallPyramidLSTMSegmenter([2, 2], in_channels=channels, **arguments)


def test_predictions_are_named_for_nnunets_tools(root, tmp_path):
    found = zoo.predict(model(2), [root / "imagesTr"], out=tmp_path / "out")
    assert not found.failures
    written = sorted(path.name for path in (tmp_path / "out" / "labels").iterdir())
    assert written == [f"case_{number:03}.nii.gz" for number in range(5)]


def test_of_one_channel_the_number_is_left_out_where_it_is_the_only_one(tmp_path, nifti):
    for name in ("a_0000", "b_0000", "b_0001", "c_0001", "d_0000", "d"):
        nifti(tmp_path / "in" / f"{name}.nii.gz", values())
    zoo.predict(model(1), [tmp_path / "in"], out=tmp_path / "out")
    written = sorted(path.name for path in (tmp_path / "out" / "labels").iterdir())
    assert written == [
        f"{name}.nii.gz" for name in ("a", "b_0000", "b_0001", "c_0001", "d", "d_0000")
    ]


def test_numbered_files_with_their_own_channels_are_images(tmp_path, nifti):
    for number in (1, 2):
        nifti(tmp_path / "in" / f"patient_{number:04}.nii.gz", values(number, 2))
    nifti(tmp_path / "in" / "case_0001.nii.gz", values())
    found = zoo.predict(model(2), [tmp_path / "in"], out=tmp_path / "out")
    assert [Path(row["file"]).name for row in found.rows] == [
        "patient_0001.nii.gz",
        "patient_0002.nii.gz",
    ]
    assert [reason.partition(" beside")[0] for reason in found.failures.values()] == [
        f"{tmp_path / 'in'} lacks case_0000.nii.gz"
    ]


def test_channels_of_stacks_are_the_models(tmp_path, capsys):
    stack = np.zeros((3, 2, 8, 8), dtype=np.uint8)
    stack[..., 2:5, 2:5] = 200
    for name in "ab":
        tifffile.imwrite(tmp_path / f"{name}.tif", stack, imagej=True, metadata={"axes": "ZCYX"})
    found = zoo.predict(model(2), [tmp_path], out=tmp_path / "out")
    assert len(found.rows) == 2
    assert tifffile.imread(tmp_path / "out" / "labels" / "a.tif").shape == (3, 8, 8)
    assert capsys.readouterr().err.count("does not say how large its voxels are") == 1
    found = zoo.predict(model(1), [tmp_path / "a.tif"], out=tmp_path / "other")
    (reason,) = found.failures.values()
    assert "has the axes channels 2 x slices 3 x 8x8, and the model takes 1 channel" in reason


def test_predictions_have_the_values_of_the_label_maps(tmp_path, nifti):
    path = nifti(tmp_path / "a.nii.gz", values())
    for number, mapped in enumerate(([0, 255], [-1, 1000])):
        out = tmp_path / f"out{number}"
        zoo.predict(model(1, label_values=mapped), [path], out=out)
        written = np.asarray(nib.load(out / "labels" / "a.nii.gz").dataobj)
        assert set(np.unique(written)) <= set(mapped)
        assert written.dtype == (np.uint8 if number == 0 else np.int32)
