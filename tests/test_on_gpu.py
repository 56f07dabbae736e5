"""What a run does for a GPU, told without one: its settings, its device, its random numbers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from zoo.inference import precision
from zoo.recipes.signatures import read_arguments
from zoo.recipes.trainer import Trainer
from zoo.runs.run import Run
from zoo.testing.checks.device import differentiable, largest_difference, results
from zoo.training import on_gpu, trainer
from zoo.training.draw import as_in_training
from zoo.training.random_state import RandomState

GPU = SimpleNamespace(type="cuda", index=1)
QUICK = ("--trainer.max_epochs", 1, "--trainer.enable_progress_bar", "false")


class Net(LightningModule):
    fixed_shapes = True

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.network(x)
        return result


def on(device: str, **settings: Any) -> Any:
    return SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device(device)), **settings)


def test_two_settings_are_the_zoos_own() -> None:
    given = {"tf32": "false", "compile": "true", "max_epochs": 2}
    assert read_arguments(Trainer, "trainer", given) == (
        {**given, "tf32": False, "compile": True},
        [],
    )
    _, (fault,) = read_arguments(Trainer, "trainer", {"tf23": True})
    assert "did you mean 'trainer.tf32'?" in fault


def test_a_run_notes_how_it_computed(toy: Any, zoo: Callable) -> None:
    done = zoo("train", "toy/points", *QUICK, "--trainer.deterministic", "warn", "--out", "run")
    assert done.status == 0
    noted = Run(Path("run")).environment
    assert (noted["device"], noted["deterministic"]) == ("cpu", "warn")
    assert "tf32" not in noted  # a CPU has none
    torch.use_deterministic_algorithms(False)


def test_cudnn_chooses_by_trial_for_fixed_shapes_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free = Net()
    monkeypatch.setattr(free, "fixed_shapes", False, raising=False)
    assert on_gpu.chooses_by_trial(on("cuda", benchmark=None), Net())
    assert not on_gpu.chooses_by_trial(on("cuda", benchmark=None), free)
    assert on_gpu.chooses_by_trial(on("cuda", benchmark=True), free)
    given = Trainer(accelerator="cpu", benchmark=False, logger=False)
    assert not on_gpu.chooses_by_trial(given, Net())
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    assert not on_gpu.chooses_by_trial(on("cuda", benchmark=None), Net())


def test_a_cpu_training_leaves_cudnn_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    on_gpu.prepare(on("cpu", benchmark=None), Net())
    assert not torch.backends.cudnn.benchmark
    on_gpu.prepare(on("cuda", benchmark=None), Net())
    assert torch.backends.cudnn.benchmark


@pytest.mark.parametrize("works", [True, False])
def test_what_the_compiler_refuses_is_run_as_it_is(
    works: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Any]) -> Any:
        calls.append(graph)
        if not works:
            raise ValueError("no compiler is installed")
        return graph.forward

    monkeypatch.setattr(torch._dynamo, "lookup_backend", lambda name: backend)
    model, x = Net(), torch.randn(2, 3)
    names, expected = list(model.state_dict()), model(x)
    on_gpu.compile_networks(model)
    torch.testing.assert_close(model(x), expected)
    assert calls
    assert list(model.state_dict()) == names
    said = "torch.compile does not compile 'network' (no compiler is installed)"
    assert capsys.readouterr().err.count(said) == (not works)


def test_the_option_sets_the_setting(toy: Any, zoo: Callable) -> None:
    done = zoo("train", "toy/points", "--compile", "--print-config")
    assert "compile: true" in done.out


def test_a_run_goes_on_where_it_began(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for here, begun, goes_on, said in (
        (False, "cpu", "cpu", ""),
        (True, "cpu", "cpu", "--trainer.accelerator gpu takes the GPU"),
        (True, "cuda", "cuda", ""),
        (False, "cuda", "cpu", "torch sees none here"),
    ):
        monkeypatch.setattr(torch.cuda, "is_available", lambda here=here: here)
        assert trainer._as_begun(begun) == goes_on
        err = capsys.readouterr().err
        assert said in err
        assert bool(err) == bool(said)


def test_random_numbers_of_a_gpu_are_those_of_the_processs_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[Any, Any]] = []
    one, two = torch.tensor([1], dtype=torch.uint8), torch.tensor([2], dtype=torch.uint8)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: two)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, at: given.append((state, at)))
    states = RandomState()
    assert states.state_dict()["cuda"] == []  # and CUDA is not started
    states._gpu = GPU  # type: ignore[assignment]
    saved = states.state_dict()
    assert saved["cuda"] == [two]
    states._restore(saved)
    states._restore({**saved, "cuda": [one, two]})  # of zoo 0.1.0, of all GPUs
    assert given == [(two, GPU), (two, GPU)]
    states._tell_other_device([])
    assert "written on a CPU: on a GPU the training draws other" in capsys.readouterr().err
    states._tell_other_device([one])
    assert not capsys.readouterr().err


def test_a_gpu_predicts_in_the_precision_of_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"a": "bf16-mixed", "b": "32-true", "c": "bf16-mixed"}
    monkeypatch.setattr(precision, "_precision", lambda reference: kinds[str(reference)])
    gpu, cpu = torch.device("cuda", 0), torch.device("cpu")
    for reference, device, mixed in (
        ("a", gpu, True),
        ("b", gpu, False),
        (["a", "c"], gpu, True),
        (["a", "b"], gpu, False),
        ("a", cpu, False),
        (Net(), gpu, False),
    ):
        found = precision.as_trained(reference, device)
        assert isinstance(found, torch.autocast) == mixed
        assert not mixed or found.fast_dtype == torch.bfloat16


def test_plots_are_drawn_in_the_precision_of_the_training() -> None:
    made, model = Trainer(accelerator="cpu", precision="bf16-mixed", logger=False), Net()
    with as_in_training(made, model):
        assert model(torch.randn(2, 3)).dtype == torch.bfloat16
    assert model(torch.randn(2, 3)).dtype == torch.float32


def test_the_devices_are_compared_in_gradients_and_a_step_too() -> None:
    torch.manual_seed(0)
    model, x = differentiable(Net()), torch.randn(4, 3)  # type: ignore[arg-type]
    same, other = copy.deepcopy(model), copy.deepcopy(model)
    expected = results(model, x)
    assert len(expected) == 1 + 2 + 2
    assert largest_difference(expected, results(same, x)) == 0
    other.network.weight.register_hook(lambda grad: 1.1 * grad)  # type: ignore[union-attr]
    found = results(other, x)
    torch.testing.assert_close(found[0], expected[0])
    assert largest_difference(expected, found) > 0.01
