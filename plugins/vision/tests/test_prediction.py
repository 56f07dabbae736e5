"""A trained classifier says what it is and predicts on picture files of every kind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

import zoo

SETTINGS = {
    "trainer.logger": False,
    "trainer.enable_progress_bar": False,
    "trainer.max_epochs": 1,
    "trainer.limit_train_batches": 20,
    "model.net": "1x8x8-8C3-MP2-N",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> zoo.Run:
    """A small classifier of digits."""
    return zoo.train("vision/mpcnn-digits", SETTINGS, out=tmp_path_factory.mktemp("run") / "run")


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Four digits of the test data as PNG files."""
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for path, pixels in zip(paths, load_digits().images, strict=False):
        Image.fromarray((pixels * (255 / 16)).round().astype(np.uint8)).save(path)
    return paths


def test_preprocessing_labels_and_terms_in_the_bundle(run: zoo.Run) -> None:
    content = json.loads((run.bundle / "bundle.json").read_text())
    pixels = content["preprocessing"]
    assert pixels["channels"] == 1
    assert pixels["image_size"] == [8, 8]
    assert pixels["network_size"] == [8, 8]
    assert pixels["mean"] == pytest.approx(content["facts"]["mean"])
    assert content["facts"]["label_names"] == list("0123456789")
    assert content["license"]["data"].startswith("CC BY 4.0")
    assert zoo.load(run.path).preprocessing == pixels


def test_files_are_predicted_as_tensors_are(run: zoo.Run, pictures: list[Path]) -> None:
    rows = zoo.predict(run.path, pictures).rows
    net = zoo.load(run.path)
    pixels = [torch.from_numpy(np.array(Image.open(path)))[None] for path in pictures]
    with torch.no_grad():
        wanted = net(torch.stack(pixels)).softmax(1)
    for row, shares in zip(rows, wanted, strict=True):
        assert list(row["probabilities"].values()) == pytest.approx(shares.tolist(), abs=2e-6)
        assert row["label"] == str(int(shares.argmax()))


def test_color_and_turned_pictures(run: zoo.Run, pictures: list[Path], tmp_path: Path) -> None:
    """The same picture in color, and lying on its side with an EXIF entry that says so."""
    with Image.open(pictures[3]) as image:
        image.load()
    turned = image.convert("RGB").transpose(Image.Transpose.ROTATE_90)
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    turned.save(tmp_path / "turned.png", exif=exif)
    rows = zoo.predict(run.path, [pictures[3], tmp_path / "turned.png"]).rows
    first, second = (list(row["probabilities"].values()) for row in rows)
    assert second == pytest.approx(first, abs=1e-5)


def test_files_that_are_no_pictures(run: zoo.Run, pictures: list[Path], tmp_path: Path) -> None:
    data = pictures[0].read_bytes()
    contents = {
        "cut": data[: len(data) // 2],
        "empty": b"",
        "text": b"no picture",
        "header": data[:8] + b"\0" * 30,
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.png").write_bytes(content)
    found = zoo.predict(run.path, [tmp_path], out=tmp_path / "out")
    assert [row["file"] for row in found.rows] == [str(path) for path in pictures]
    assert set(found.failures) == {str(tmp_path / f"{name}.png") for name in contents}
    assert "no known image format" in found.failures[str(tmp_path / "text.png")]
    (page,) = found.pictures
    with Image.open(page) as image:
        assert min(image.size) > 100
