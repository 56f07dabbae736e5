"""Volumes divided into folds, segmenters averaged and seen mirrored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

import zoo
from zoo.plugin import DisagreementWriter, Fold, ProbabilityTester, UsageError
from zoo_segmentation.data.isbi2012 import IMAGES, ISBI2012, LABELS
from zoo_segmentation.data.phantom import Phantom
from zoo_segmentation.monai_nets import MonaiSegmenter

SMALL = {"size": [12, 16, 16], "patch_size": [8, 12, 12]}


def fold(data, val: list[int]) -> Fold:
    samples = data.fold_samples()
    return Fold(1, 2, len(samples), samples.fingerprint, tuple(val))


def test_a_fold_decides_which_volumes_are_validated_on():
    plain, divided = Phantom(**SMALL), Phantom(**SMALL, flips=[2])
    divided.use_fold(fold(plain, [0, 17]))
    assert [volume.name for volume in divided.samples("val")] == ["phantom 0", "phantom 17"]
    assert len(divided.samples("train")) == 16
    names = [[v.name for v in data.samples("test")] for data in (plain, divided)]
    assert names[0] == names[1]
    assert divided.facts["preprocessing"]["mirrored"] == [2]


@pytest.mark.parametrize("slices", [False, True])
def test_a_fold_of_a_stack_is_a_run_of_slices(tmp_path: Path, slices: bool):
    images = np.arange(10, dtype=np.uint8)[:, None, None] * 10 + np.zeros((20, 16), np.uint8)
    labels = np.full((10, 20, 16), 255, dtype=np.uint8)
    labels[:, :, 7:9] = 0
    tifffile.imwrite(tmp_path / IMAGES, images)
    tifffile.imwrite(tmp_path / LABELS, labels)
    size = [8, 8] if slices else [2, 8, 8]
    data = ISBI2012(str(tmp_path), test_slices=3, patch_size=size, slices=slices)
    assert data.fold_samples().ordered
    data.use_fold(fold(data, [2, 3]))
    found = {part: [volume.name for volume in data.samples(part)] for part in ("train", "val")}
    if slices:
        assert found["val"] == ["slice 2", "slice 3"]
        assert len(found["train"]) == 5
    else:
        assert found == {"train": ["slices 0 to 1", "slices 4 to 6"], "val": ["slices 2 to 3"]}
    assert len(data.samples("test")) == (3 if slices else 1)


def segmenter(**arguments) -> MonaiSegmenter:
    torch.manual_seed(0)
    model = MonaiSegmenter(
        architecture="UNet",
        num_classes=2,
        spatial_dims=3,
        patch_size=[16, 16, 16],
        spacing=[1.0, 1.0, 1.0],
        **arguments,
    )
    return model.eval()


def test_the_probabilities_of_others_are_measured_as_its_own():
    model = segmenter(distances=False)
    assert isinstance(model, ProbabilityTester)
    image = torch.randn(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    batch = {"image": image, "label": (image > 0).long(), "spacing": torch.ones(1, 3)}
    with torch.no_grad():
        model.test_step(batch, 0)
        own = model.test_scores.read()
        probs = model.predict_step(batch, 0)
        model.measure_probabilities(batch, probs)
    given = model.test_scores.read()
    assert torch.equal(own["dice"], given["dice"])
    (row,) = model.describe_batch(batch, probs)
    assert row["dice"] == pytest.approx(float(own["dice"].mean()), abs=1e-6)


def test_mirrored_volumes_are_averaged_along_the_axes_of_the_training():
    image = torch.randn(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    with pytest.raises(UsageError, match="mirrored along no axis"):
        segmenter(preprocessing={"normalize_by": "volume"}).use_tta()
    model = segmenter(preprocessing={"normalize_by": "volume", "mirrored": [2]})
    with torch.no_grad():
        one, other = model.probabilities(image), model.probabilities(image.flip(4)).flip(4)
        assert model.use_tta() == ["as it is", "mirrored along W"]
        assert torch.allclose(model.probabilities(image), (one + other) / 2)


def test_maps_of_the_mean_and_of_the_disagreement_are_written(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    models = [segmenter(), segmenter()]
    with torch.no_grad():
        for parameter in models[1].parameters():
            parameter.mul_(1.3)
    assert isinstance(models[0], DisagreementWriter)
    stack = np.random.default_rng(0).integers(0, 255, (16, 16, 16)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", stack)
    ensemble = zoo.Ensemble(["one", "other"], models)
    found = zoo.predict(ensemble, ["stack.tif"], out="out", probabilities=True, device="cpu")
    assert not found.failures
    (row,) = found.rows
    disagreement = tifffile.imread(tmp_path / "out" / row["written"]["disagreement"])
    assert disagreement.shape == (16, 16, 16)
    assert float(disagreement.mean()) == pytest.approx(row["disagreement"], abs=1e-5)
    maps = tifffile.imread(tmp_path / "out" / row["written"]["probabilities"])
    label = tifffile.imread(tmp_path / "out" / row["written"]["labels"])
    assert np.array_equal(maps.argmax(1), label)
    sample = models[0].read_file(tmp_path / "stack.tif")
    with torch.no_grad():
        each = [model.predict_sample(sample).probabilities for model in models]
    assert np.allclose(maps.transpose(1, 0, 2, 3), np.mean(each, axis=0), atol=1e-6)
