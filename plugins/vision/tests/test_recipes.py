"""Every recipe of the plugin trains a step, tests and bundles, on generated data."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import zoo
import zoo_vision
from zoo_vision.layers import ScaledTanh
from zoo_vision.schedules import schedule

RECIPES = Path(zoo_vision.__file__).parent / "recipes"
SMALL = {
    "data.batch_size": 4,
    "trainer.max_epochs": 1,
    "trainer.limit_train_batches": 1,
    "trainer.limit_test_batches": 1,
    "trainer.enable_progress_bar": False,
}
MORE = {
    "vision/timm-image-folder": {"data.image_size": 64},
    "vision/images-from-scratch": {"data.image_size": 64, "data.num_workers": 0},
    "vision/fine-tune-images": {
        "data.image_size": 64,
        "data.num_workers": 0,
        "model.name": "timm/test_resnet",
        "model.pretrained": False,
    },
    "vision/mcdnn-mnist": {"model.columns_per_preprocessing": 1},
    "vision/mcdnn-gtsrb": {"model.columns_per_preprocessing": 1},
    "vision/mcdnn-mnist-paper": {"model.columns_per_preprocessing": 1},
    "vision/mcdnn-gtsrb-paper": {
        "model.columns_per_preprocessing": 1,
        "model.net": "3x48x48-4C7-MP2-4C4-MP2-4C4-MP2-9N-43N",
    },
    "vision/mlp-mnist-paper": {"model.hidden": [20]},
}
PAPERS = {
    "vision/mlp-mnist-paper": (1e-3, 1e-6),
    "vision/mcdnn-mnist-paper": (1e-3, 3e-5),
    "vision/mcdnn-gtsrb-paper": (1e-3, 3e-5),
}
"""Recipes with the papers' own training: their learning rates in the first and the last epoch."""


def idx(values: np.ndarray) -> bytes:
    shape = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes([0, 0, 8, values.ndim]) + shape + values.astype(np.uint8).tobytes()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise in the layouts of MNIST, GTSRB and a user's folder."""
    root = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    (root / "mnist").mkdir()
    for part, count in (("train", 60), ("t10k", 20)):
        images = random.integers(0, 256, (count, 28, 28))
        (root / "mnist" / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        (root / "mnist" / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.arange(count) % 10))
    for label in range(43):
        folder = root / "gtsrb" / "GTSRB" / "Training" / f"{label:05}"
        folder.mkdir(parents=True)
        for track in range(3):
            pixels = random.integers(0, 256, (30, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{track:05}_00000.ppm")
    for label in ("cat", "dog"):
        folder = root / "image-folder" / label
        folder.mkdir(parents=True)
        for number in range(8):
            pixels = random.integers(0, 256, (70, 60, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


@pytest.mark.parametrize("recipe", zoo.list_recipes("vision/*"))
def test_it_trains_a_step(
    recipe: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_DATA", str(data))
    run = zoo.train(recipe, {**SMALL, **MORE.get(recipe, {})}, out=tmp_path / "run")
    assert 0 <= run.metrics["test/accuracy"] <= 1
    assert run.finished
    assert not zoo.load(run.path).training
    assert (run.plots / "confusion.png").is_file()


@pytest.mark.parametrize("recipe", PAPERS)
def test_the_papers_training_is_online_descent_from_small_weights(recipe: str) -> None:
    file = f"{recipe.removeprefix('vision/')}.yaml"
    values = yaml.safe_load((RECIPES / file).read_text(encoding="utf-8"))
    small = {"columns_per_preprocessing": 1} if "mcdnn" in recipe else {"hidden": [30, 20]}
    given = dict(values["model"])
    name = given.pop("name")
    classes = {"in_channels": 3, "num_classes": 43} if "gtsrb" in recipe else {}
    model = zoo.create_model(name, **{**given, **small, **classes})
    drawn = torch.cat([parameter.flatten() for parameter in model.parameters()])
    assert 0.0499 < drawn.abs().max() <= 0.05
    assert drawn.std().item() == pytest.approx(0.05 / 3**0.5, rel=0.05)
    kinds = {type(module) for module in model.network.modules()}
    assert ScaledTanh in kinds
    assert not kinds & {torch.nn.ReLU, torch.nn.Dropout}
    optimizer = model.hparams["optimizer"], model.hparams["momentum"], model.hparams["weight_decay"]
    assert optimizer == ("sgd", 0, 0)
    assert values["data"]["batch_size"] == 1
    epochs = values["trainer"]["max_epochs"]
    first, last = PAPERS[recipe]
    rate = model.hparams["lr"]
    factor = schedule(
        model.hparams["schedule"],
        epochs,
        lambda step: step,
        decay=model.hparams["lr_decay"],
        floor=model.hparams["lr_floor"] / rate,
    )
    assert rate * factor(0) == first
    assert rate * factor(epochs - 1) == pytest.approx(last, rel=0.02)
    black, white = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    assert (model.normalize(black) == -1).all()
    assert (model.normalize(white) == 1).all()
