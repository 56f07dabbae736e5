"""From a user's files to label maps in the files' own space, through ``zoo.inference.predict``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightning as L
import nibabel as nib
import numpy as np
import pytest
import tifffile
import torch
from torch import Tensor

import zoo
from zoo.plugin import UsageError
from zoo_segmentation.data.preprocessing import normalize
from zoo_segmentation.prediction import VolumePrediction

NAMES = ["background", "bright", "brightest"]
# From voxel indices to mm: the first axis runs to the left, the second down, the third forward.
ODD = np.array([[-2.0, 0, 0, 10], [0, 0, 1, -5], [0, -3, 0, 7], [0, 0, 0, 1]])


class Thresholds(VolumePrediction, L.LightningModule):
    """A segmenter that cuts normalized values of the first channel at 0 and at 1.

    Args:
        in_channels: Channels of a volume.
        spatial_dims: 2 or 3.
        num_classes: 2 cuts at 0 alone.
        spacing: Of the training, in mm.
        preprocessing: Of the training data.
    """

    def __init__(
        self,
        in_channels: int = 1,
        spatial_dims: int = 3,
        num_classes: int = 3,
        spacing: list[float] | None = None,
        preprocessing: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.in_channels = in_channels
        self.spatial_dims = spatial_dims
        self.num_classes = num_classes
        self.label_names = NAMES[:num_classes]
        self.seen: list[Tensor] = []

    def probabilities(self, images: Tensor) -> Tensor:
        assert images.ndim == 2 + self.spatial_dims
        assert images.shape[1] == self.in_channels
        self.seen.append(images)
        value = images[:, :1]
        cuts = [(value < 0), (value >= 0) & (value < 1), value >= 1]
        if self.num_classes == 2:
            cuts = [value < 0, value >= 0]
        return torch.cat(cuts, dim=1).float()


@pytest.fixture(autouse=True)
def _in_an_empty_folder(monkeypatch, tmp_path):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def classes(values: np.ndarray) -> np.ndarray:
    """What `Thresholds` makes of values it sees as they are."""
    z = normalize(values[None].astype(np.float32))[0]
    return (z >= 0).astype(int) + (z >= 1)


def blob(*shape: int) -> np.ndarray:
    """A bright ball off the center, and noise."""
    grid = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    center = [n * share for n, share in zip(shape, (0.3, 0.6, 0.4), strict=False)]
    distance = sum(((g - c) / n) ** 2 for g, c, n in zip(grid, center, shape, strict=False))
    return (np.exp(-distance * 12) * 100).astype(np.float32)


def test_a_label_map_lies_in_the_space_of_its_image(tmp_path, nifti):
    model = Thresholds()
    image = blob(10, 12, 14)
    path = nifti(tmp_path / "a.b.nii.gz", image, ODD)
    found = zoo.predict(model, [path], out="out", probabilities=True)
    assert not found.failures
    (row,) = found.rows
    assert row["written"]["labels"] == "labels/a.b.nii.gz"
    written = nib.load(Path("out") / row["written"]["labels"])
    assert written.shape == (10, 12, 14)
    assert written.get_data_dtype() == np.uint8
    assert np.allclose(written.affine, ODD)
    label = np.asarray(written.dataobj)
    assert np.array_equal(label, classes(image))
    shares = nib.load(Path("out") / row["written"]["probabilities"])
    assert shares.shape == (10, 12, 14, 3)
    assert np.array_equal(np.asarray(shares.dataobj).argmax(-1), label)
    # Voxels of 2x3x1 mm.
    assert row["brightest (ml)"] == pytest.approx((label == 2).sum() * 0.006)
    assert row["bright"] == pytest.approx((label == 1).mean(), abs=1e-6)
    assert Path("out/pictures/a.b.png").stat().st_size > 1000
    assert json.loads(Path("out/predictions.json").read_text(encoding="utf-8"))["predictions"] == [
        row
    ]
    assert "labels/a.b.nii.gz" in Path("out/predictions.csv").read_text(encoding="utf-8")


def test_probability_maps_are_written_on_request_alone(tmp_path, nifti):
    model = Thresholds()
    path = nifti(tmp_path / "a.nii", blob(8, 8, 8))
    zoo.predict(model, [path], out="out")
    assert sorted(p.name for p in Path("out").iterdir()) == [
        "labels",
        "pictures",
        "predictions.csv",
        "predictions.json",
    ]


def test_the_model_sees_the_orientation_and_the_normalization_of_the_training(tmp_path, nifti):
    model = Thresholds()
    straight = blob(6, 7, 8)
    turned = nib.orientations.apply_orientation(straight, nib.orientations.axcodes2ornt("PIL"))
    nib.save(nib.Nifti1Image(straight, np.eye(4)), tmp_path / "1.nii")
    ornt = nib.orientations.axcodes2ornt("PIL")
    affine = np.eye(4) @ nib.orientations.inv_ornt_aff(ornt, straight.shape)
    nib.save(nib.Nifti1Image(turned, affine), tmp_path / "2.nii")
    zoo.predict(model, [tmp_path], out="out")
    assert torch.equal(model.seen[0], model.seen[1])
    assert np.allclose(model.seen[0][0, 0], normalize(straight[None])[0].transpose(2, 1, 0))


def test_a_volume_is_resampled_to_the_training_spacing_and_its_labels_back(tmp_path, nifti):
    model = Thresholds(spacing=[1.0, 1.0, 1.0])
    image = blob(11, 12, 7)
    affine = np.diag([1.0, 1.0, 3.0, 1.0])
    path = nifti(tmp_path / "a.nii.gz", image, affine)
    found = zoo.predict(model, [path], out="out")
    assert model.seen[0].shape == (1, 1, 21, 12, 11)
    written = nib.load(Path("out") / found.rows[0]["written"]["labels"])
    assert written.shape == image.shape
    assert np.allclose(written.affine, affine)
    same = np.asarray(written.dataobj) == classes(image)
    assert same.mean() > 0.93  # the cuts move a little with the mean


def test_the_same_spacing_is_left_alone(tmp_path, nifti):
    model = Thresholds(spacing=[3.0, 1.0, 2.0])
    path = nifti(tmp_path / "a.nii.gz", blob(10, 12, 14), ODD)
    zoo.predict(model, [path], out="out")
    assert model.seen[0].shape == (1, 1, 12, 14, 10)


def test_a_model_of_slices_gets_them_one_by_one(tmp_path, nifti):
    model = Thresholds(spatial_dims=2, spacing=[1.0, 1.0])
    image = blob(8, 9, 6)
    path = nifti(tmp_path / "a.nii", image)
    found = zoo.predict(model, [path], out="out")
    assert [tuple(some.shape) for some in model.seen] == [(4, 1, 9, 8), (2, 1, 9, 8)]
    label = np.asarray(nib.load(Path("out") / found.rows[0]["written"]["labels"]).dataobj)
    for index in range(6):
        assert np.array_equal(label[..., index], classes(image[..., index]))


@pytest.mark.parametrize("dims", [2, 3])
def test_a_stack_of_pictures_becomes_a_stack_of_labels(tmp_path, dims):
    model = Thresholds(spatial_dims=dims, num_classes=2, spacing=[5e-5, 4e-6, 4e-6][-dims:])
    stack = blob(5, 20, 16).astype(np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", stack)
    found = zoo.predict(model, [tmp_path / "stack.tif"], out="out", probabilities=True)
    (row,) = found.rows
    label = tifffile.imread(Path("out") / row["written"]["labels"])
    assert row["written"]["labels"] == "labels/stack.tif"
    assert label.dtype == np.uint8
    assert label.shape == (5, 20, 16)
    if dims == 3:
        assert np.array_equal(label, classes(stack) > 0)
    assert row["bright (ml)"] is None
    with tifffile.TiffFile(Path("out") / row["written"]["probabilities"]) as file:
        shares = np.stack([page.asarray() for page in file.pages]).reshape(5, 2, 20, 16)
    assert np.array_equal(shares.argmax(axis=1), label)
    assert Path("out/pictures/stack.png").is_file()


def test_bad_files_are_named_and_the_rest_goes_on(tmp_path, nifti):
    model = Thresholds(in_channels=1)
    folder = tmp_path / "scans"
    nifti(folder / "good.nii.gz", blob(8, 8, 8))
    nifti(folder / "also" / "good.nii.gz", blob(8, 8, 8))
    (folder / "empty.nii").write_bytes(b"")
    (folder / "text.nii.gz").write_bytes(b"no image")
    nan = blob(8, 8, 8)
    nan[0, 0, 0] = np.nan
    nifti(folder / "nan.nii", nan)
    nifti(folder / "two.nii", np.ones((8, 8, 8, 2), dtype=np.float32))
    tifffile.imwrite(folder / "deep.tif", np.zeros((2, 8, 8), dtype=np.uint16))
    (folder / "notes.txt").write_text("about")
    found = zoo.predict(model, [folder], out="out")
    assert len(found.rows) == 2
    for name, reason in {
        "empty.nii": "is an empty file",
        "text.nii.gz": "is not a readable NIfTI file",
        "nan.nii": "1 of 512 voxels are NaN",
        "two.nii": "has 2 channels, not 1",
        "deep.tif": "holds uint16 values",
    }.items():
        assert reason in found.failures[str(folder / name)]
    assert sorted(path.name for path in Path("out/labels").iterdir()) == [
        "good.nii.gz",
        "good_2.nii.gz",
    ]


def test_a_missing_channel_is_told(tmp_path, nifti):
    model = Thresholds(in_channels=4)
    path = nifti(tmp_path / "a.nii.gz", blob(8, 8, 8))
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((2, 8, 8), dtype=np.uint8))
    found = zoo.predict(model, [path, tmp_path / "b.tif"], out="out")
    assert "has 1 channel, not 4" in found.failures[str(path)]
    assert "has one channel and the model takes 4" in found.failures[str(tmp_path / "b.tif")]
    assert found.rows == []


def test_channels_are_found_beside_the_first(tmp_path, nifti):
    model = Thresholds(in_channels=2)
    for channel in range(2):
        nifti(tmp_path / f"a_{channel:04}.nii.gz", blob(8, 8, 8) * (channel + 1) + channel)
    found = zoo.predict(model, [tmp_path / "a_0000.nii.gz"], out="out")
    assert not found.failures
    assert model.seen[0].shape == (1, 2, 8, 8, 8)


def test_a_folder_of_channels_is_predicted_image_by_image(tmp_path, nifti):
    model = Thresholds(in_channels=2)
    folder = tmp_path / "imagesTs"
    for name in ("a", "b"):
        for channel in range(2):
            nifti(folder / f"{name}_{channel:04}.nii.gz", blob(8, 8, 8) + channel)
    nifti(folder / "four.nii.gz", np.stack([blob(8, 8, 8)] * 2, axis=-1))
    nifti(folder / "c_0001.nii.gz", blob(8, 8, 8))
    nifti(folder / "d_0000.nii.gz", blob(8, 8, 8))
    zoo.predict(model, [folder], out="out")
    assert len(model.seen) == 3
    found = json.loads(Path("out/predictions.json").read_text(encoding="utf-8"))
    assert [Path(row["file"]).name for row in found["predictions"]] == [
        "a_0000.nii.gz",
        "b_0000.nii.gz",
        "four.nii.gz",
    ]
    reasons = {Path(file).name: reason for file, reason in found["failures"].items()}
    assert set(reasons) == {"c_0001.nii.gz", "d_0000.nii.gz"}
    assert "imagesTs lacks c_0000.nii.gz beside c_0001.nii.gz" in reasons["c_0001.nii.gz"]
    assert (
        "lacks d_0001.nii.gz beside d_0000.nii.gz; every image has to have 2 channels"
        in (reasons["d_0000.nii.gz"])
    )


def test_with_one_channel_every_file_is_an_image(tmp_path, nifti):
    model = Thresholds()
    for name in ("a_0000", "a_0001"):
        nifti(tmp_path / f"{name}.nii.gz", blob(8, 8, 8))
    assert len(zoo.predict(model, [tmp_path], out="out").rows) == len(model.seen) == 2


def test_a_folder_of_subjects_is_predicted_subject_by_subject(tmp_path, nifti):
    model = Thresholds(in_channels=3, preprocessing={"derived": "mrbrains-three"})
    for subject in ("1", "2"):
        for name in ("T1", "T1_1mm", "T1_IR", "T2_FLAIR", "LabelsForTesting"):
            nifti(tmp_path / "all" / subject / f"{name}.nii", blob(8, 8, 8))
    nifti(tmp_path / "all" / "3" / "T1.nii", blob(8, 8, 8))
    found = zoo.predict(model, [tmp_path / "all"], out="out")
    assert len(found.rows) == len(model.seen) == 2
    (reason,) = found.failures.values()
    assert "lacks T1_IR.nii(.gz), T2_FLAIR.nii(.gz)" in reason


def test_a_model_of_mrbrains_takes_a_subject_or_its_three_contrasts(tmp_path, nifti):
    model = Thresholds(in_channels=5, preprocessing={"derived": "mrbrains-five"})
    images = {name: blob(20, 24, 4) + n for n, name in enumerate(("T1", "T1_IR", "T2_FLAIR"))}
    for name, image in images.items():
        nifti(tmp_path / "subject" / f"{name}.nii", image)
    nifti(tmp_path / "three.nii", np.stack(list(images.values()), axis=-1))
    nifti(tmp_path / "alone.nii", images["T1"])
    paths = [tmp_path / "subject" / "T1.nii", tmp_path / "three.nii", tmp_path / "alone.nii"]
    found = zoo.predict(model, paths, out="out")
    assert list(found.failures) == [str(paths[2])]
    assert model.seen[0].shape == (1, 5, 4, 24, 20)
    assert torch.equal(model.seen[0], model.seen[1])


def test_without_a_folder_the_maps_lie_in_one_of_the_time(tmp_path, nifti):
    model = Thresholds()
    path = nifti(tmp_path / "a.nii", blob(8, 8, 8))
    found = zoo.predict(model, [path])
    (folder,) = Path("predictions").iterdir()
    assert (folder / "labels" / "a.nii.gz").is_file()
    assert found.folder == folder


def test_a_model_without_maps_has_no_probability_maps(tmp_path):
    class Reader(torch.nn.Module):
        read_file = input_suffixes = ()
        predict_step = describe_prediction = draw_predictions = ()

    model = Reader()
    with pytest.raises(UsageError, match=r"makes no probability maps; .* omit --probabilities"):
        zoo.predict(model, [tmp_path], probabilities=True)


def test_what_the_bundle_says_of_the_preprocessing():
    model = Thresholds(spacing=[1.0, 2.0, 3.0], preprocessing={"normalize_by": "slice"})
    assert model.preprocessing["spacing_mm"] == [1.0, 2.0, 3.0]
    assert model.preprocessing["normalize_by"] == "slice"
    json.dumps(model.preprocessing)
