"""Exported classifiers compute what the models compute, for any number of images."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor

import zoo

MODELS = {
    "mpcnn": {"net": "1x8x8-8C3-MP2-20N-N", "dropout": 0.5, "elastic_alpha": 8.0},
    "mlp": {"hidden": [20], "input_size": [10, 10]},
}


def opened(path: Path, format: str) -> Callable[[Tensor], Tensor]:
    if format == "torch-export":
        return torch.export.load(path).module()
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(None, {"inputs": images.numpy()})[0])


@pytest.mark.parametrize("name", MODELS)
def test_the_file_computes_what_the_model_computes(name: str, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    trainer = {"max_epochs": 1, "limit_train_batches": 4, "logger": False}
    content = {
        "model": {"name": name, **MODELS[name]},
        "data": {"name": "digits"},
        "trainer": {**trainer, "enable_progress_bar": False},
    }
    recipe.write_text(yaml.safe_dump(content))
    run = zoo.train(recipe, out=tmp_path / "run")
    model = zoo.load(run.path)
    for format in ("torch-export", "onnx"):
        if format == "onnx":
            pytest.importorskip("onnxscript")
        path = tmp_path / f"{name}.{format}"
        done = zoo.export(run.path, format, path)
        assert done.inputs == "16 of the test data of 'digits'"
        compute = opened(path, format)
        for count in (1, 2, 7, 33):
            images = torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8)
            with torch.no_grad():
                wanted = model(images)
            assert torch.allclose(compute(images), wanted, atol=1e-4, rtol=1e-4)


def test_the_script_beside_an_onnx_file_needs_no_zoo(tmp_path: Path) -> None:
    """It says what `zoo predict` says, in a process that cannot import torch or the zoo."""
    pytest.importorskip("onnxscript")
    paths = []
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 31, 3), dtype=np.uint8)
        paths.append(tmp_path / f"{number}.jpg")
        Image.fromarray(pixels).resize((310, 200)).save(paths[-1])
    zoo.export("mpcnn-digits", "onnx", tmp_path / "digits.onnx")
    code = "import sys; sys.modules.update(torch=None, zoo=None); import runpy; "
    code += "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "digits.py", *paths],
        check=True,
        capture_output=True,
        text=True,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    for row, wanted in zip(rows, zoo.predict("mpcnn-digits", paths).rows, strict=True):
        assert (row["file"], row["label"]) == (wanted["file"], wanted["label"])
        assert row["probability"] == pytest.approx(wanted["confidence"], abs=1e-4)
