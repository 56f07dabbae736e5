"""An exported file computes what the model computes, or is not kept."""

from __future__ import annotations

import builtins
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo as package
from zoo.errors import UsageError, ZooError
from zoo.inference import export as exporting
from zoo.recipes.recipe import make_recipe
from zoo.training.train import train

MODELS = {
    "mpcnn": {"net": "1x8x8-8C3-MP2-20N-N", "dropout": 0.5, "elastic_alpha": 8.0},
    "mlp": {"hidden": [20], "input_size": [10, 10]},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    for name, arguments in MODELS.items():
        recipe = make_recipe(
            {
                "model": {"name": name, **arguments},
                "data": {"name": "digits"},
                "trainer": {
                    "max_epochs": 1,
                    "limit_train_batches": 4,
                    "logger": False,
                    "enable_progress_bar": False,
                },
            },
            f"{name}-digits",
        )
        train(recipe, out=folder / name)
    return {name: folder / name for name in MODELS}


def opened(path: Path, format: str) -> Callable[[Tensor], Tensor]:
    if format == "torch-export":
        return torch.export.load(path).module()
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(None, {"inputs": images.numpy()})[0])


@pytest.mark.parametrize("format", exporting.FORMATS)
@pytest.mark.parametrize("name", MODELS)
def test_the_file_computes_what_the_model_computes(
    runs: dict[str, Path], name: str, format: str, zoo: Callable
) -> None:
    if format == "onnx":
        pytest.importorskip("onnxscript")
    path = Path("out") / "model.file"
    done = zoo("export", runs[name], "--format", format, "--out", path, "--json")
    assert done.status == 0, done.err
    (row,) = json.loads(done.out[done.out.index("[\n") :])
    assert row["name"] == str(path)
    assert 0 <= row["difference"] <= row["tolerance"] == exporting.TOLERANCE
    assert row["inputs"] == "16 of the test data of 'digits'"
    assert [each.name for each in path.parent.iterdir()] == ["model.file"]
    compute, model = opened(path, format), package.load(runs[name])
    draw = torch.Generator().manual_seed(0)
    for count in (1, 2, 7, 33):
        images = torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=draw)
        with torch.no_grad():
            wanted = model(images)
        assert torch.allclose(compute(images), wanted, atol=1e-4, rtol=1e-4)


@pytest.fixture
def kept() -> Path:
    path = Path("model.pt2")
    path.write_text("what was there before")
    return path


def assert_kept(path: Path) -> None:
    assert path.read_text() == "what was there before"
    assert [each.name for each in Path().iterdir()] == [path.name]


def test_a_file_that_differs_is_not_kept(runs: dict[str, Path], kept: Path) -> None:
    with pytest.raises(ZooError, match=r"differs from the model by .*allowed -1e\+00"):
        package.export(runs["mlp"], "torch-export", kept, tolerance=-1.0)
    assert_kept(kept)


@pytest.mark.parametrize("wrong", [1, 16])
@pytest.mark.parametrize("value", [math.nan, 1.0])
def test_a_difference_in_any_batch_counts(
    runs: dict[str, Path], kept: Path, monkeypatch: Any, wrong: int, value: float
) -> None:
    def export(network: nn.Module, samples: Tensor) -> Any:
        def compute(inputs: Tensor) -> Tensor:
            return network(inputs) + (value if len(inputs) == wrong else 0)

        return b"", compute

    monkeypatch.setattr(exporting, "_torch_export", export)
    with pytest.raises(ZooError, match="so it was not kept"):
        package.export(runs["mlp"], "torch-export", kept)
    assert_kept(kept)


def test_compared_on_files(runs: dict[str, Path], tmp_path: Path) -> None:
    from PIL import Image

    Image.new("L", (8, 8), 77).save(tmp_path / "one.png")
    done = package.export(runs["mlp"], "torch-export", "model.pt2", inputs=[tmp_path / "one.png"])
    assert done.inputs == "1 of the files given"
    images = torch.zeros(5, 1, 8, 8, dtype=torch.uint8)
    assert torch.export.load("model.pt2").module()(images).shape == (5, 10)


def test_without_data_the_example_input(runs: dict[str, Path], monkeypatch: Any) -> None:
    def refuse(*_: Any) -> None:
        raise UsageError("there are no data")

    monkeypatch.setattr(exporting, "experiment_of", refuse)
    done = package.export(runs["mlp"], "torch-export", "model.pt2")
    assert "the model's example input" in done.inputs


class Branching(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs if inputs.sum() > 3 else -inputs


class Leaving(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return torch.from_numpy(inputs.numpy() + 1)


BRANCH = "`return inputs if inputs.sum() > 3 else -inputs` (test_exporting.py): Could not guard"
LEAVE = "`return torch.from_numpy(inputs.numpy() + 1)` (test_exporting.py): .numpy() is not"


@pytest.mark.parametrize(
    ("obstacle", "format", "told"),
    [
        (Branching, "torch-export", BRANCH),
        (Branching, "onnx", BRANCH),
        (Leaving, "torch-export", LEAVE),
    ],
)
def test_the_operation_in_the_way_is_named(
    runs: dict[str, Path],
    kept: Path,
    monkeypatch: Any,
    zoo: Callable,
    obstacle: type[nn.Module],
    format: str,
    told: str,
) -> None:
    if format == "onnx":
        pytest.importorskip("onnxscript")
    monkeypatch.setattr(exporting, "rebuild", lambda _: obstacle())
    samples = torch.ones(4, 1, 8, 8)
    monkeypatch.setattr(exporting, "_real_inputs", lambda *_: (samples, "these"))
    done = zoo("export", runs["mlp"], "--format", format, "--out", kept)
    assert done.status == 1
    assert "cannot be exported" in done.err
    assert "stands in the way" in done.err
    assert told in done.err
    assert done.err.startswith("zoo: ")
    assert done.err.count("\n") == 1
    assert_kept(kept)


@pytest.mark.parametrize("package_name", ["onnx", "onnxruntime", "onnxscript"])
def test_packages_that_are_missing(
    runs: dict[str, Path], kept: Path, monkeypatch: Any, zoo: Callable, package_name: str
) -> None:
    original = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == package_name:
            raise ImportError(f"No module named {name!r}", name=name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    done = zoo("export", runs["mlp"], "--format", "onnx", "--out", kept)
    assert done.status == 2
    assert f'ONNX needs {package_name}, which is not installed: pip install "zoo[onnx]"' in done.err
    assert_kept(kept)


def test_a_format_that_is_none(runs: dict[str, Path], kept: Path) -> None:
    with pytest.raises(UsageError, match="no format 'tflite': torch-export or onnx"):
        package.export(runs["mlp"], "tflite", kept)
    assert_kept(kept)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk(runs: dict[str, Path], kept: Path, monkeypatch: Any, zoo: Callable) -> None:
    import os

    Path(f".{kept.name}.{os.getpid()}.tmp").symlink_to("/dev/full")
    done = zoo("export", runs["mlp"], "--format", "torch-export", "--out", kept)
    assert done.status == 1
    assert "model.pt2 cannot be written: No space left on device" in done.err
    assert_kept(kept)
