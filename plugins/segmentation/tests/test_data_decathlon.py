"""Task folders of the Medical Segmentation Decathlon."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from zoo.plugin import UsageError
from zoo_segmentation.data.decathlon import Decathlon


@pytest.fixture
def task(tmp_path, nifti) -> Path:
    """Ten volumes of two modalities and three classes, in the publisher's layout."""
    folder = tmp_path / "Task99_Made"
    random = np.random.default_rng(0)
    pairs = []
    for number in reversed(range(10)):
        shape = (8 + number, 9, 7)
        image = random.normal(size=(*shape, 2)).astype(np.float32)
        label = random.integers(0, 3, shape).astype(np.uint8)
        name = f"made_{number:03}.nii.gz"
        nifti(folder / "imagesTr" / name, image)
        nifti(folder / "labelsTr" / name, label)
        pairs.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})
    about = {
        "name": "Made",
        "modality": {"0": "T2", "1": "ADC"},
        "labels": {"0": "background", "2": "tumour", "1": "organ"},
        "training": pairs,
        "test": [],
    }
    (folder / "dataset.json").write_text(json.dumps(about))
    return folder


def change(folder: Path, **values) -> None:
    path = folder / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_task_folder_is_read_in_place(task):
    data = Decathlon(str(task), patch_size=[8, 8, 8], val_fraction=0)
    data.setup()
    facts = data.facts
    assert facts["num_classes"] == 3
    assert facts["in_channels"] == 2
    assert facts["label_names"] == ["background", "organ", "tumour"]
    assert facts["channel_names"] == ["T2", "ADC"]
    assert facts["train_volumes"] == 8
    assert facts["image_size"] == [7, 9, 11]
    names = [batch["name"][0] for batch in data.test_dataloader()]
    assert names == ["made_008", "made_009"]
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (2, 2, 8, 8, 8)


@pytest.mark.parametrize("root", ["", "decathlon", "Task99_Made"])
def test_the_task_is_found_in_the_root_beside_it_or_as_it(task, root):
    data = Decathlon(str(task.parent / root), task="Task99_Made", patch_size=[8, 8, 8])
    assert data.facts["train_volumes"] == 7


def test_the_task_in_the_root_comes_before_the_one_beside_it(task):
    inner = task.parent / "decathlon" / "Task99_Made"
    inner.parent.mkdir()
    inner.symlink_to(task)
    data = Decathlon(str(task.parent / "decathlon"), task="Task99_Made")
    assert data._folder() == inner


def test_another_task_than_the_root_is_not_taken_for_it(task):
    with pytest.raises(UsageError, match=r"neither .*Task98_Other/dataset\.json nor"):
        Decathlon(str(task), task="Task98_Other").setup()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"there is no .*dataset\.json; .* or name it by --data\.task"),
        ({"task": "Task01"}, r"neither .*Task01/dataset\.json nor .* --data\.root"),
    ],
)
def test_a_missing_task_is_told_with_the_remedy(tmp_path, arguments, message):
    with pytest.raises(UsageError, match=message):
        Decathlon(str(tmp_path / "nowhere"), **arguments).setup()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"labels": {"0": "background", "1": "organ"}}, r"have labels that are no class \(2\)"),
        ({"modality": {"0": "T2"}}, r"made_000\.nii\.gz has 2 channels, not 1; .*\(and 9 more"),
        ({"modality": {"0": "a", "1": "b", "2": "c"}}, "has 2 channels, not 3"),
        ({"labels": {"0": "background", "2": "tumour"}}, "'labels' has to name 0, 1, 2"),
        ({"modality": {}}, "'modality' has to name .* names nothing"),
        ({"training": []}, "lists no volumes under 'training'"),
        ({"training": [{"image": "a.nii.gz"}]}, "has to name an 'image' and a 'label'"),
        (
            {"training": [{"image": "imagesTr/gone.nii.gz", "label": "labelsTr/gone.nii.gz"}]},
            r"there is no file .*imagesTr/gone\.nii\.gz",
        ),
    ],
)
def test_a_dataset_json_that_does_not_fit_is_told(task, values, message):
    change(task, **values)
    with pytest.raises(UsageError, match=message):
        Decathlon(str(task)).setup()


def test_a_dataset_json_that_is_no_json_is_told(task):
    (task / "dataset.json").write_text("{")
    with pytest.raises(UsageError, match=r"dataset\.json is not readable JSON"):
        Decathlon(str(task)).setup()


def test_files_that_cannot_be_used_are_told_before_training(task, nifti):
    image = np.zeros((8, 9, 7, 2), dtype=np.float32)
    image[0, 0, 0, 0] = np.nan
    nifti(task / "imagesTr" / "made_000.nii.gz", image)
    (task / "labelsTr" / "made_004.nii.gz").write_bytes(b"")
    nifti(task / "labelsTr" / "made_007.nii.gz", np.zeros((8, 9, 7), dtype=np.uint8))
    with pytest.raises(UsageError) as caught:
        Decathlon(str(task)).facts  # noqa: B018
    assert "made_000.nii.gz: 1 of 1008 voxels are NaN" in str(caught.value)
    assert "2 more cannot be used: made_004, made_007" in str(caught.value)


def test_fractions_out_of_range_are_refused():
    with pytest.raises(UsageError, match="test_fraction has to be 0 or more and below 1"):
        Decathlon(test_fraction=1.0)


def test_the_real_hippocampus(real):
    folder = real("Task04_Hippocampus")
    data = Decathlon(str(folder.parent / "decathlon"), task=folder.name, val_fraction=0)
    facts = data.facts
    assert facts["label_names"] == ["background", "Anterior", "Posterior"]
    assert facts["train_volumes"] == 160
    assert facts["spacing"] == [1.0, 1.0, 1.0]
    assert facts["image_size"] == [36, 50, 35]
    assert len(data.test_dataloader()) == 40
