"""Folders of MRBrainS13 and MRBrainS18, made in their layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zoo.plugin import UsageError
from zoo_segmentation.data.mrbrains import (
    CHANNELS,
    LABELS,
    MODALITIES,
    MRBrainS,
    equalize,
    find_subject,
    five_channels,
    read_subject,
)

SHAPE = (24, 20, 6)
FILES_13 = {"T1": "T1.nii", "IR": "T1_IR.nii", "FLAIR": "T2_FLAIR.nii"}
FILES_18 = {"T1": "pre/reg_T1.nii.gz", "IR": "pre/reg_IR.nii.gz", "FLAIR": "pre/FLAIR.nii.gz"}


def make_subject(nifti, folder: Path, files: dict[str, str], labels: str | None, top: int) -> None:
    random = np.random.default_rng(len(str(folder)))
    affine = np.diag([0.958, 0.958, 3.0, 1.0])
    for number, name in enumerate(MODALITIES):
        image = random.normal(100 * (number + 1), 5, SHAPE).astype(np.float32)
        nifti(folder / files[name], image, affine)
    if labels:
        label = (np.arange(np.prod(SHAPE)).reshape(SHAPE) % top).astype(np.uint8)
        nifti(folder / labels, label, affine)


@pytest.fixture
def year13(tmp_path, nifti) -> Path:
    """Five training subjects and two without labels, as of 2013."""
    for number in range(1, 6):
        folder = tmp_path / "TrainingData" / str(number)
        make_subject(nifti, folder, FILES_13, "LabelsForTraining.nii", 9)
        nifti(folder / "T1_1mm.nii", np.zeros((3, 3, 3), dtype=np.float32))
        nifti(folder / "LabelsForTesting.nii", np.zeros(SHAPE, dtype=np.uint8))
    for number in (1, 10):
        make_subject(nifti, tmp_path / "TestData" / str(number), FILES_13, None, 9)
    return tmp_path


@pytest.fixture
def year18(tmp_path, nifti) -> Path:
    """Three training and two test subjects, all labelled, as of 2018."""
    for name in ("4", "14", "070"):
        make_subject(nifti, tmp_path / "training" / name, FILES_18, "segm.nii.gz", 11)
    for name in ("9", "11"):
        make_subject(nifti, tmp_path / "test" / name, FILES_18, "segm.nii.gz", 11)
    return tmp_path


def load(root: Path, **arguments) -> MRBrainS:
    data = MRBrainS(str(root), **{"patch_size": [4, 16, 16], **arguments})
    data.setup()
    return data


def names(loader) -> list[str]:
    return [batch["name"][0] for batch in loader]


def test_the_layout_of_2013(year13):
    data = load(year13)
    assert data.facts["label_names"] == LABELS
    assert data.facts["channel_names"] == CHANNELS
    assert data.facts["in_channels"] == 5
    assert data.facts["spacing"] == [3.0, 0.958, 0.958]
    assert data.facts["train_volumes"] == 3
    assert len(names(data.val_dataloader())) == 1
    assert names(data.test_dataloader()) == ["TrainingData/5"]
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (1, 5, 4, 16, 16)
    assert names(load(year13, split="all").test_dataloader())[-1] == "TrainingData/5"


def test_the_layout_of_2018(year18):
    data = load(year18, channels="three", val_fraction=0)
    assert names(data.test_dataloader()) == ["test/9", "test/11"]
    assert data.facts["train_volumes"] == 3
    assert data.facts["channel_names"] == list(MODALITIES)
    assert data.facts["preprocessing"]["derived"] == "mrbrains-three"


def test_two_challenges_are_not_mixed(year13, nifti):
    make_subject(nifti, year13 / "18" / "training" / "4", FILES_18, "segm.nii.gz", 11)
    make_subject(nifti, year13 / "18" / "test" / "9", FILES_18, "segm.nii.gz", 11)
    with pytest.raises(UsageError, match=r"both challenges; choose one by --data\.layout"):
        load(year13)
    assert names(load(year13, layout="2018").test_dataloader()) == ["18/test/9"]
    assert names(load(year13, layout="2013").test_dataloader()) == ["TrainingData/5"]


def test_labels_are_merged(year18):
    (first, *_) = load(year18).test_dataloader()
    label = first["label"][0, 0].numpy().transpose(2, 1, 0)
    original = np.arange(np.prod(SHAPE)).reshape(SHAPE) % 11
    merged = {0: 0, 1: 2, 2: 2, 3: 3, 4: 3, 5: 1, 6: 1, 7: 4, 8: 4, 9: 0, 10: 0}
    for value, expected in merged.items():
        assert (label[original == value] == expected).all(), value


def test_test_subjects_with_the_three_tissues_alone(year13, nifti):
    affine = np.diag([0.958, 0.958, 3.0, 1.0])
    label = (np.arange(np.prod(SHAPE)).reshape(SHAPE) % 4).astype(np.uint8)
    for number in ("1", "10"):
        nifti(year13 / "TestData" / number / "LabelsForTesting.nii", label, affine)
    data = load(year13)
    assert names(data.test_dataloader()) == ["TestData/1", "TestData/10"]
    assert data.facts["train_volumes"] == 4
    (first, *_) = data.test_dataloader()
    assert np.array_equal(first["label"][0, 0], label.transpose(2, 1, 0))


def test_the_five_channels(year13):
    subject = find_subject(year13 / "TrainingData" / "2")
    three = read_subject(subject).array
    assert [round(channel.mean(), -1) for channel in three] == [100, 200, 300]
    five = five_channels(three)
    assert np.array_equal(five[0], three[0])
    assert np.array_equal(five[1], three[2])
    for channel, source in zip(five[2:], three, strict=True):
        assert np.array_equal(channel, equalize(source))


def test_equalising_takes_brightness_away_and_spreads_contrast():
    random = np.random.default_rng(0)
    texture = random.normal(0, 1, (2, 64, 64))
    ramp = np.linspace(0, 300, 64)
    plain, shaded = equalize(texture), equalize(texture + ramp[:, None])
    inside = np.s_[:, 20:-20, 20:-20]
    assert np.corrcoef(plain[inside].ravel(), shaded[inside].ravel())[0, 1] > 0.95
    assert plain.dtype == np.float32
    assert plain.min() >= 0
    assert plain.max() <= 1
    for slice_ in plain:
        border = np.ones_like(slice_, dtype=bool)
        border[8:-8, 8:-8] = False
        assert np.ptp(slice_[border]) == 0
        assert np.ptp(slice_[~border]) > 0.5
    assert not equalize(np.full((1, 30, 30), 5.0)).any()
    assert np.isfinite(equalize(random.normal(size=(1, 5, 5)))).all()


@pytest.mark.parametrize("path", ["", "T1.nii", "T2_FLAIR.nii", "LabelsForTraining.nii"], ids=str)
def test_a_subject_is_found_by_its_folder_or_its_files(year13, path):
    subject = find_subject(year13 / "TrainingData" / "3" / path)
    assert subject.folder == year13 / "TrainingData" / "3"
    assert subject.labels.name == "LabelsForTraining.nii"


def test_a_subject_of_2018_is_found_by_a_file(year18):
    subject = find_subject(year18 / "test" / "9" / "pre" / "FLAIR.nii.gz")
    assert subject.folder == year18 / "test" / "9"
    assert find_subject(year18 / "nothing") is None


def test_a_missing_modality_is_told(year13):
    (year13 / "TrainingData" / "2" / "T1_IR.nii").unlink()
    with pytest.raises(UsageError, match=r"TrainingData/2 lacks T1_IR\.nii\(\.gz\); .*FLAIR"):
        load(year13)


def test_modalities_on_other_grids_are_told(year13, nifti):
    path = year13 / "TrainingData" / "2" / "T2_FLAIR.nii"
    nifti(path, np.ones((24, 20, 5), dtype=np.float32), np.diag([0.958, 0.958, 3.0, 1.0]))
    with pytest.raises(UsageError, match=r"T2_FLAIR\.nii has 24x20x5 voxels and .*register"):
        load(year13)
    nifti(path, np.ones(SHAPE, dtype=np.float32))
    with pytest.raises(UsageError, match=r"T2_FLAIR\.nii and .*T1\.nii have different affine"):
        load(year13)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layout": "2015"}, "layout has to be one of 2013, 2018"),
        ({"channels": "two"}, "channels has to be one of five, three, not 'two'"),
        ({"val_fraction": -0.5}, "val_fraction has to be 0 or more"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        MRBrainS(**arguments)


def test_folders_without_subjects_are_told(tmp_path, nifti):
    with pytest.raises(UsageError, match="is not a folder; fetch the data from"):
        load(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"no subject under .* has labels"):
        load(tmp_path)
    make_subject(nifti, tmp_path / "training" / "1", FILES_18, "segm.nii.gz", 9)
    with pytest.raises(UsageError, match=r"holds 1 labelled subject\(s\), too few"):
        load(tmp_path)
    assert names(load(tmp_path, split="all").test_dataloader()) == ["training/1"]
