"""Values of label maps: which are classes, and how others are said to be."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import zoo
from zoo.plugin import UsageError
from zoo_segmentation.data.decathlon import Decathlon
from zoo_segmentation.data.labels import count_classes
from zoo_segmentation.data.volume_folder import VolumeFolder

SHAPE = (9, 8, 7)
SMALL = {
    "model.hidden": [2, 2],
    "model.distances": False,
    "data.patch_size": [8, 8, 8],
    "trainer.max_epochs": 1,
    "trainer.accelerator": "cpu",
    "trainer.enable_progress_bar": False,
}


def folder_of(root: Path, nifti, *values: float, dtype: type = np.int16) -> Path:
    """Five volumes whose label maps hold these values, turn by turn."""
    for number in range(5):
        random = np.random.default_rng(number)
        labels = np.array(values, dtype=dtype)[np.arange(np.prod(SHAPE)) % len(values)]
        nifti(root / "images" / f"case{number}.nii", random.normal(size=SHAPE).astype(np.float32))
        nifti(root / "labels" / f"case{number}.nii", labels.reshape(SHAPE))
    return root


def load(root: Path, **arguments) -> VolumeFolder:
    data = VolumeFolder(str(root), **{"patch_size": [4, 4, 4], **arguments})
    data.setup()
    return data


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            (0, 255),
            r"values 0 \(1,260 voxels in 5 files\), 255 \(1,260 .*\); .*'\{0: 0, 255: 1\}'",
        ),
        ((0, 1, 3), r"\{0: 0, 1: 1, 3: 2\}'; or, .*'\[background, NAME1, NAME2, NAME3\]'"),
        ((-1, 0, 1), r"'\{0: 0, -1: 0, 1: 1\}' counts -1 as background"),
        ((1, 2), r"'\{1: 0, 2: 1\}'"),
        ((0,), r"all 5 label maps hold 0 \(background\) alone, .*--data\.label_names"),
        (range(100, 130), r"and 20 more; .* look like an image"),
    ],
)
def test_values_that_never_occur_are_no_classes(tmp_path, nifti, values, message):
    folder_of(tmp_path, nifti, *values)
    with pytest.raises(UsageError, match=message):
        load(tmp_path)


def test_a_mapping_says_what_values_are(tmp_path, nifti):
    folder_of(tmp_path, nifti, -1, 0, 255)
    data = load(tmp_path, labels={0: 0, 255: 1, -1: 0})
    assert data.facts["label_names"] == ["background", "1"]
    assert data.facts["label_values"] == [0, 255]
    (batch,) = data.test_dataloader()
    assert batch["label"].unique().tolist() == [0, 1]
    (said,) = data.describe_found()
    assert f"{tmp_path}: 5 volumes (3 training, 1 validation, 1 test) of 7x8x9 voxels" in said
    assert "voxels by class: background: 1,680 (66.67%), 1: 840 (33.33%)" in said
    with pytest.raises(UsageError, match=r"no class \(-1\); --data\.labels says what 0, 255 are"):
        load(tmp_path, labels={0: 0, 255: 1})


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({0: 0, 255: 2}, "of its classes 0 to 2 no value is 1"),
        ({0: 0}, "takes each value of the label maps to a class"),
        ({0: 0, 1: -1}, "takes each value"),
    ],
)
def test_mappings_with_gaps_are_refused(labels, message):
    with pytest.raises(UsageError, match=message):
        VolumeFolder(labels=labels)


def test_values_near_whole_numbers_are_classes(tmp_path, nifti):
    folder_of(tmp_path, nifti, 0, 0.9999999, 1.9999998, dtype=np.float32)
    assert load(tmp_path).facts["num_classes"] == 3


def test_the_decathlon_takes_a_mapping_too(tmp_path, nifti):
    folder_of(tmp_path, nifti, 0, 255)
    pairs = [
        {"image": f"images/case{number}.nii", "label": f"labels/case{number}.nii"}
        for number in range(5)
    ]
    about = {
        "labels": {"0": "background", "1": "tumour"},
        "modality": {"0": "MRI"},
        "training": pairs,
    }
    (tmp_path / "dataset.json").write_text(json.dumps(about))
    with pytest.raises(UsageError, match=r"no class \(255\); .* by --data\.labels"):
        Decathlon(str(tmp_path), patch_size=[4, 4, 4]).setup()
    data = Decathlon(str(tmp_path), patch_size=[4, 4, 4], labels={0: 0, 255: 1})
    assert data.facts["label_values"] == [0, 255]
    about["training"] = [*pairs, pairs[0]]
    (tmp_path / "dataset.json").write_text(json.dumps(about))
    with pytest.raises(UsageError, match=r"lists .*case0\.nii twice"):
        Decathlon(str(tmp_path), patch_size=[4, 4, 4], labels={0: 0, 255: 1}).setup()


def test_a_run_keeps_the_mapping_for_tests_and_predictions(tmp_path, nifti, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder_of(tmp_path / "data", nifti, 0, 255)
    run = zoo.train(
        "segmentation/pyramid-lstm-phantom",
        {
            **SMALL,
            "data.name": "volume-folder",
            "data.root": "data",
            "data.labels": "{0: 0, 255: 1}",
        },
        out="run",
    )
    assert run.finished
    metrics = zoo.evaluate("run", {"data.root": "data"})
    assert metrics["test/error"] == pytest.approx(run.metrics["test/error"])
    zoo.predict("run", ["data/images/case4.nii"], out="out")
    written = np.asarray(nib.load("out/labels/case4.nii.gz").dataobj)
    assert set(np.unique(written)) <= {0, 255}
    assert np.mean(written != np.asarray(nib.load("data/labels/case4.nii").dataobj)) == (
        pytest.approx(metrics["test/error"])
    )


def test_the_classes_of_files_are_counted_together():
    files = {Path("a"): {0: 5, 1: 2}, Path("b"): {0: 7, 2: 1}}
    assert count_classes(files, "root") == 3
