"""Every recipe of the plugin trains a step, tests and bundles, on generated data."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zoo

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
}


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
