"""Trained and published classifiers adapt to other pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

import zoo

SMALL = "test_resnet"  # timm's own test architecture, with 0.5 million weights
QUIET = {"trainer.logger": False, "trainer.enable_progress_bar": False}
SHORT = {**QUIET, "trainer.max_epochs": 1}


def weights(run: zoo.Run) -> dict[str, Tensor]:
    return load_file(run.bundle / "model.safetensors")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Color pictures of three classes."""
    for number, name in enumerate(("red", "green", "blue")):
        folder = tmp_path / "pictures" / name
        folder.mkdir(parents=True)
        for index in range(10):
            color = [20 + index * 3] * 3
            color[number] = 200
            Image.new("RGB", (12, 10), tuple(color)).save(folder / f"{index}.png")
    return tmp_path / "pictures"


def tune(run: zoo.Run, pictures: Path, out: Path) -> zoo.Run:
    changes = {**SHORT, "data.root": str(pictures), "data.batch_size": 4}
    return zoo.finetune(run.path, "image-folder", changes, out=out, freeze="backbone")


def written(path: Path, **sections: Any) -> Path:
    """A recipe as a file."""
    trainer = {"max_epochs": 1, "logger": False, "enable_progress_bar": False}
    limits = {f"limit_{part}_batches": 1 for part in ("val", "test")}
    path.write_text(
        yaml.safe_dump({**sections, "trainer": {**trainer, **limits}}), encoding="utf-8"
    )
    return path


def test_a_gray_model_on_color_pictures(pictures: Path, tmp_path: Path) -> None:
    settings = {**SHORT, "model.net": "1x8x8-4C3-MP2-9N-N", "trainer.limit_train_batches": 3}
    digits = zoo.train("vision/mpcnn-digits", settings, out=tmp_path / "digits")
    run = tune(digits, pictures, tmp_path / "run")
    before, after = weights(digits), weights(run)
    kept = [name for name in before if name.startswith("network.convolution")]
    assert kept
    assert all(torch.equal(before[name], after[name]) for name in kept)
    content, old = (json.loads((each.bundle / "bundle.json").read_text()) for each in (run, digits))
    assert content["preprocessing"] == old["preprocessing"]  # it belongs to the weights kept
    assert content["facts"]["label_names"] == ["blue", "green", "red"]
    found = zoo.predict(run.path, [pictures])
    assert len(found.rows) == 30
    assert {row["label"] for row in found.rows} <= {"blue", "green", "red"}


@pytest.mark.parametrize("architecture", [SMALL, "test_vit"])
def test_a_frozen_backbone_is_the_same_to_the_bit(
    pictures: Path, tmp_path: Path, architecture: str
) -> None:
    """Running means of batch normalization and embeddings that no leaf module owns included."""
    recipe = written(
        tmp_path / "recipe.yaml",
        model={"name": f"timm/{architecture}", "input_size": [32, 32]},
        data={"name": "image-folder", "root": str(pictures), "batch_size": 8},
    )
    first = zoo.train(recipe, out=tmp_path / "first")
    (pictures / "gray").mkdir()
    for index in range(10):
        Image.new("RGB", (12, 10), (index, index, index)).save(pictures / "gray" / f"{index}.png")
    run = tune(first, pictures, tmp_path / "second")
    before, after = weights(first), weights(run)
    head = [name for name in after if name not in before or before[name].shape != after[name].shape]
    kept = [name for name in before if name not in head]
    assert 0 < len(head) <= 2
    assert len(kept) > 20
    assert [name for name in kept if not torch.equal(before[name], after[name])] == []


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A timm network of 1000 classes as timm publishes it."""
    path = tmp_path_factory.mktemp("timm") / "model.safetensors"
    save_file(timm.create_model(SMALL).state_dict(), path)
    return path


def on_digits(path: Path, architecture: str, reference: Path) -> Path:
    """The recipe of a color network on the digits, which are gray, from published weights."""
    pixels = {"in_channels": 3, "mean": [0.5] * 3, "std": [0.5] * 3}
    return written(
        path,
        model={"name": f"timm/{architecture}", **pixels},
        data={"name": "digits", "batch_size": 4},
        init_from={"reference": str(reference), "freeze": "backbone"},
    )


@pytest.mark.parametrize("part", ["", "model."])
def test_timm_weights_start_a_training(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str
) -> None:
    """Only the head is trained: what the file held is what the bundle holds, but for that."""
    theirs = load_file(published)
    path = tmp_path / "theirs.safetensors"
    save_file({part + name: tensor for name, tensor in theirs.items()}, path)
    recipe = on_digits(tmp_path / "recipe.yaml", SMALL, path)
    run = zoo.train(recipe, {"trainer.limit_train_batches": 1}, out=tmp_path / "run")
    told = capsys.readouterr().err
    count = len(theirs) - 2
    assert f"{path}: {count} tensors matched, 0 missing, 0 unexpected, 2 reshaped" in told
    assert "network.fc.weight" in told
    assert "[1000, 96] in the file, [10, 96] in the model" in told
    mine = weights(run)
    for name, tensor in theirs.items():
        if name.startswith("fc."):
            assert mine[f"network.{name}"].shape[0] == 10
        else:
            assert torch.equal(mine[f"network.{name}"], tensor), name
    origin = json.loads((run.bundle / "bundle.json").read_text())["origin"]
    assert origin == {"reference": "theirs.safetensors"}


def test_timm_weights_as_an_argument_of_the_model(published: Path) -> None:
    arguments = {"weights": str(published), "num_classes": 10, "in_channels": 3}
    model = zoo.create_model(f"timm/{SMALL}", **arguments)
    theirs = load_file(published)
    mine = model.network.state_dict()
    assert all(torch.equal(mine[n], t) for n, t in theirs.items() if not n.startswith("fc."))
    assert model.hparams["weights"] is None  # rebuilding it from a bundle needs no file


def test_weights_of_another_architecture(published: Path, tmp_path: Path) -> None:
    recipe = on_digits(tmp_path / "recipe.yaml", "test_vit", published)
    with pytest.raises(zoo.UsageError, match=r"do not fit TimmClassifier|none of the weights"):
        zoo.train(recipe, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
