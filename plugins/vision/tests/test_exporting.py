"""Exported classifiers compute what the models compute, for any number of images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
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
