"""An exported file computes what the model computes, or is not kept."""

from __future__ import annotations

import builtins
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import zoo as package
from zoo.errors import UsageError, ZooError
from zoo.inference import export as exporting
from zoo.training.train import train

MODELS = {"toy-cnn": ("toy/images", "toy-images"), "toy-net": ("toy/points", "toy-points")}
"""Recipe and data of each."""

pytestmark = pytest.mark.usefixtures("toy")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, with_toy: Callable) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    short = {"max_epochs": 1, "logger": False, "enable_progress_bar": False}
    with with_toy():
        for name, (recipe, _) in MODELS.items():
            changes = {f"trainer.{key}": value for key, value in short.items()}
            train(recipe, changes, out=folder / name)
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
    assert row["inputs"] == f"16 of the test data of {MODELS[name][1]!r}"
    assert [each.name for each in path.parent.iterdir()] == ["model.file"]
    compute, model = opened(path, format), package.load(runs[name])
    draw = torch.Generator().manual_seed(0)
    for count in (1, 2, 7, 33):
        inputs = torch.randint(0, 256, (count, *model.example_input.shape[1:]), generator=draw)
        inputs = inputs.to(model.example_input.dtype)
        with torch.no_grad():
            wanted = model(inputs)
        assert torch.allclose(compute(inputs), wanted, atol=1e-4, rtol=1e-4)


@pytest.fixture
def out() -> Path:
    return Path("model.pt2")


def assert_nothing_written() -> None:
    assert list(Path().iterdir()) == []


def test_a_file_that_exists_is_kept(runs: dict[str, Path], out: Path, zoo: Callable) -> None:
    out.write_text("what was there before", encoding="utf-8")
    done = zoo("export", runs["toy-net"], "--format", "torch-export", "--out", out)
    assert (done.status, done.out) == (2, "")
    assert done.err == "zoo: model.pt2 exists: choose another --out, or remove it first\n"
    assert out.read_text(encoding="utf-8") == "what was there before"


def test_the_data_of_a_run_are_found_where_its_recipe_says(toy: Any, zoo: Callable) -> None:
    Path("mine").mkdir()
    Path("mine/clouds.txt").write_text("4", encoding="utf-8")
    short = {"trainer.logger": False, "trainer.max_epochs": 1}
    run = train("toy/files", {**short, "data.root": "mine"}, out="run")
    assert package.evaluate("run") == {
        k: v for k, v in run.metrics.items() if k.startswith("test/")
    }
    done = zoo("export", "run", "--format", "torch-export", "--out", "a.pt2")
    assert "of the test data of 'toy-files'" in done.out
    # a bundle, which is passed on, does not say where they were
    done = zoo("test", "run/bundle")
    assert done.status == 2
    assert "toy-files" in done.err
    Path("other").mkdir()
    Path("other/clouds.txt").write_text("5", encoding="utf-8")
    done = zoo("test", "run", "--data.root", "other")
    assert "label_names of 'toy-files' is ['cloud 0', 'cloud 1', 'cloud 2'" in done.err


def test_a_file_that_differs_is_not_kept(runs: dict[str, Path], out: Path) -> None:
    with pytest.raises(ZooError, match=r"differs from the model by .*allowed -1e\+00"):
        package.export(runs["toy-net"], "torch-export", out, tolerance=-1.0)
    assert_nothing_written()


@pytest.mark.parametrize("wrong", [1, 16])
@pytest.mark.parametrize("value", [math.nan, 1.0])
def test_a_difference_in_any_batch_counts(
    runs: dict[str, Path], out: Path, monkeypatch: Any, wrong: int, value: float
) -> None:
    def export(network: nn.Module, samples: Tensor) -> Any:
        def compute(inputs: Tensor) -> Tensor:
            return network(inputs) + (value if len(inputs) == wrong else 0)

        return b"", compute

    monkeypatch.setattr(exporting, "_torch_export", export)
    with pytest.raises(ZooError, match="so it was not kept"):
        package.export(runs["toy-net"], "torch-export", out)
    assert_nothing_written()


def test_compared_on_files(runs: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "one.npy"
    np.save(file, np.full((1, 8, 8), 77, np.uint8))
    done = package.export(runs["toy-cnn"], "torch-export", "model.pt2", inputs=[file])
    assert done.inputs == "1 of the files given"
    images = torch.zeros(5, 1, 8, 8, dtype=torch.uint8)
    assert torch.export.load("model.pt2").module()(images).shape == (5, 3)


def test_a_model_that_reads_no_files_is_not_compared_on_files(
    runs: dict[str, Path], out: Path, zoo: Callable
) -> None:
    words = ["--format", "torch-export", "--out", out, "--input", "one.npy"]
    done = zoo("export", runs["toy-net"], *words)
    assert done.status == 2
    assert "a 'toy-net' does not say how it reads a file (read_file)" in done.err
    assert "omit --input\n" in done.err
    assert_nothing_written()


def test_inputs_that_the_model_makes_itself(runs: dict[str, Path], monkeypatch: Any) -> None:
    from zoo_toy.model import ToyNet

    class Source(ToyNet):
        def real_inputs(self) -> Tensor:
            return torch.ones(3, 2)

    original = exporting.rebuild

    def rebuild(bundle: Any) -> Any:
        model: Any = original(bundle)
        model.__class__ = Source
        return model

    monkeypatch.setattr(exporting, "rebuild", rebuild)
    done = package.export(runs["toy-net"], "torch-export", "model.pt2")
    assert done.inputs == "3 of inputs that the model gives itself"


def test_a_model_that_cannot_be_exported(
    runs: dict[str, Path], out: Path, monkeypatch: Any, zoo: Callable
) -> None:
    from zoo_toy.model import ToyNet

    monkeypatch.setattr(ToyNet, "not_exportable", "it asks its environment", raising=False)
    done = zoo("export", runs["toy-net"], "--format", "onnx", "--out", out)
    assert done.status == 1
    assert done.err == "zoo: a 'toy-net' cannot be exported: it asks its environment\n"
    assert_nothing_written()


def test_without_data_the_example_input(runs: dict[str, Path], monkeypatch: Any) -> None:
    def refuse(*_: Any) -> None:
        raise UsageError("there are no data")

    monkeypatch.setattr(exporting, "experiment_of", refuse)
    done = package.export(runs["toy-net"], "torch-export", "model.pt2")
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
    out: Path,
    monkeypatch: Any,
    zoo: Callable,
    obstacle: type[nn.Module],
    format: str,
    told: str,
) -> None:
    if format == "onnx":
        pytest.importorskip("onnxscript")
    monkeypatch.setattr(exporting, "rebuild", lambda _: obstacle())
    samples = torch.ones(4, 2)
    monkeypatch.setattr(exporting, "_real_inputs", lambda *_: [(samples, "these")])
    done = zoo("export", runs["toy-net"], "--format", format, "--out", out)
    assert done.status == 1
    assert "cannot be exported" in done.err
    assert "stands in the way" in done.err
    assert told in done.err
    assert done.err.startswith("zoo: ")
    assert done.err.count("\n") == 1
    assert_nothing_written()


@pytest.mark.parametrize("package_name", ["onnx", "onnxruntime", "onnxscript"])
def test_packages_that_are_missing(
    runs: dict[str, Path], out: Path, monkeypatch: Any, zoo: Callable, package_name: str
) -> None:
    original = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == package_name:
            raise ImportError(f"No module named {name!r}", name=name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    done = zoo("export", runs["toy-net"], "--format", "onnx", "--out", out)
    assert done.status == 2
    assert f"ONNX needs {package_name}, which is not installed: pip install --find" in done.err
    assert '"zoo[onnx]"' in done.err
    assert_nothing_written()


def test_a_format_that_is_none(runs: dict[str, Path], out: Path) -> None:
    with pytest.raises(UsageError, match="no format 'tflite': there are torch-export, onnx"):
        package.export(runs["toy-net"], "tflite", out)
    assert_nothing_written()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk(runs: dict[str, Path], out: Path, monkeypatch: Any, zoo: Callable) -> None:
    import os

    Path(f".{out.name}.{os.getpid()}.tmp").symlink_to("/dev/full")
    done = zoo("export", runs["toy-net"], "--format", "torch-export", "--out", out)
    assert done.status == 1
    assert "the file cannot be written: model.pt2: No space left on device" in done.err
    assert_nothing_written()
