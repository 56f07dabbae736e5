"""Searches as trainings: counts, resume within a generation, what is refused, and films."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer

import zoo
from zoo.plugin import UsageError, ZooError
from zoo_evolution.black_box import BlackBox
from zoo_evolution.controller import EvolvedController
from zoo_evolution.data import FunctionGenerations
from zoo_evolution.objectives.box import Box
from zoo_evolution.objectives.callables import UserFunction
from zoo_evolution.objectives.objective import Objective

QUIET = {"trainer.logger": False, "trainer.accelerator": "cpu"}
FUNCTIONS = """
import os

import numpy as np
import torch

def bowl(point):
    return float(((point - 0.5) ** 2).sum())

def raises(point):
    raise RuntimeError("no such thing")

def vector(point):
    return point

def text(point):
    return "much"

def undefined(point):
    return float("nan")

def partly(point):
    return float("nan") if point[0] > 0.6 else bowl(point)

def tensor(point):
    return torch.tensor(point, requires_grad=True).sum()

def whole(point):
    return np.int64(3)

def dies(point):
    os._exit(1)

def fragile(point):
    if point[0] > 0.7:
        raise ValueError("too far")
    return bowl(point)
"""


@pytest.fixture
def functions(tmp_path: Path) -> str:
    path = tmp_path / "mine.py"
    path.write_text(FUNCTIONS, encoding="utf-8")
    return str(path)


class SavedAndStopped(Callback):
    """A checkpoint after a number of batches, and the end."""

    def __init__(self, path: Path, batches: int) -> None:
        self.path, self.left = path, batches

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        self.left -= 1
        if not self.left:
            trainer.save_checkpoint(self.path)
            trainer.should_stop = True


def small_poles(**more: Any) -> dict[str, Any]:
    return {**QUIET, "data.long_run": 1000, "budget.evaluations": 64, **more}


def test_poles_are_searched_counted_and_filmed(tmp_path: Path) -> None:
    run = zoo.train("evolution/double-pole-snes", small_poles(), out=tmp_path / "run")
    solved = run.metrics["test/solved"]
    assert run.metrics["test/evaluations"] == run.metrics["evaluations"]
    assert solved or run.metrics["evaluations"] == 64
    rows = zoo.predict(tmp_path / "run", options={"episodes": 2}, out=tmp_path / "played")
    assert len(rows.rows if hasattr(rows, "rows") else rows) == 2
    assert (tmp_path / "played" / "episode-2.gif").is_file()


def test_a_net_steps_by_its_memory_as_an_input() -> None:
    task = {"name": "pole-balancing"}
    model = EvolvedController(task, 3, 1, policy="lstm", hidden=2, bias=True)
    model.champion.normal_(generator=torch.Generator().manual_seed(1))
    act, inputs = model.policy.single(model.weights), torch.zeros(1, 3 + 4, dtype=torch.float64)
    for seen in torch.randn(4, 3, dtype=torch.float64):
        inputs[0, :3] = seen
        out = model(inputs)
        assert out[0, :1].tolist() == pytest.approx(act(seen.tolist()), abs=1e-12)
        inputs[:, 3:] = out[:, 1:]


def fitted(optimizer: str, epochs: int, *callbacks: Callback, ckpt: Path | None = None) -> BlackBox:
    data = FunctionGenerations("sphere", 3, generations_per_epoch=3, seed=4)
    model = BlackBox(**data.facts, optimizer=optimizer, options={"population": 12})
    model.evaluations_per_step = 5
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
    )
    trainer.fit(model, data, ckpt_path=ckpt, weights_only=True if ckpt else None)
    return model


@pytest.mark.parametrize("optimizer", ["cosyne", "enes"])
def test_a_run_cut_within_a_generation_ends_as_one_that_was_not(
    tmp_path: Path, optimizer: str
) -> None:
    whole = fitted(optimizer, 5)
    path = tmp_path / "cut.ckpt"
    cut = fitted(optimizer, 5, SavedAndStopped(path, 2))
    assert 0 < len(cut._told) < 12
    again = fitted(optimizer, 5, ckpt=path)
    assert torch.equal(again.champion, whole.champion)
    assert again.history == whole.history
    assert again.search is not None
    assert whole.search is not None
    assert torch.equal(again.search.ask(), whole.search.ask())


def test_a_users_function_is_minimized_within_its_box(tmp_path: Path, functions: str) -> None:
    settings = {
        **QUIET,
        "data.function": f"{functions}:partly",
        "data.dimension": 3,
        "data.low": -1.0,
        "data.high": 2.0,
        "data.integers": [2],
        "model.options.step_size": 0.2,
        "model.target": 0.2501,
        "budget.evaluations": 900,
    }
    run = zoo.train("evolution/ellipsoid-snes", settings, out=tmp_path / "run")
    assert run.metrics["test/solved"] == 1
    assert run.metrics["test/value"] == pytest.approx(0.25, abs=1e-3)  # the last is whole
    with pytest.raises(UsageError, match="would import the module"):
        zoo.load(tmp_path / "run").produce(None)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"data.function": "{}:raises"}, "raised RuntimeError: no such thing"),
        ({"data.function": "{}:vector"}, "returned an array of shape.*one number"),
        ({"data.function": "{}:text"}, "returned a str.*one number"),
        ({"data.function": "{}:undefined"}, "returned NaN"),
        ({"data.function": "{}:none"}, "there is no function 'none'.*it has bowl"),
        ({"data.function": "nowhere.py:bowl"}, "there is no file nowhere.py"),
        ({"data.function": "spere"}, "did you mean 'sphere'"),
        ({"data.low": 1.0, "data.high": 0.0}, "bounds of coordinate 0 are the wrong way round"),
        ({"data.low": 1.0}, "give both low and high"),
        ({"data.low": [0.0], "data.high": 1.0}, "low has 1 numbers"),
        ({"data.low": 0.0, "data.high": 1.0, "data.start": 2.0}, "lies outside its bounds"),
        ({"data.integers": [10]}, "names coordinate 10"),
        ({"model.options.population": 1}, "population of SNES has to be 2 or more"),
        ({"model.options.popluation": 9}, "did you mean 'population'"),
        ({"budget.evaluations": 5}, "5 evaluations is below one generation, which has 10"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_written(
    tmp_path: Path, functions: str, settings: dict[str, Any], words: str
) -> None:
    given = {k: v.format(functions) if isinstance(v, str) else v for k, v in settings.items()}
    with pytest.raises(UsageError, match=words):
        zoo.train("evolution/ellipsoid-snes", {**QUIET, **given}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_function_that_fails_later_ends_the_training_with_the_point(functions: str) -> None:
    function = UserFunction(f"{functions}:fragile")
    points = torch.tensor([[0.5, 0.5], [0.9, 0.1]], dtype=torch.float64)
    with pytest.raises(ZooError, match=r"called with \(0.9, 0.1\), raised ValueError: too far"):
        function(points)
    with pytest.raises(ZooError, match="returned NaN for all 1 candidates"):
        UserFunction(f"{functions}:undefined")(points[:1])
    values = UserFunction(f"{functions}:partly")(points)
    assert values.isnan().tolist() == [False, True]


def test_any_kind_of_number_counts(functions: str) -> None:
    points = torch.tensor([[0.5, 0.25]], dtype=torch.float64)
    assert UserFunction(f"{functions}:tensor")(points).tolist() == [0.75]
    assert UserFunction(f"{functions}:whole")(points).tolist() == [3]


@pytest.mark.slow
def test_a_process_that_dies_is_said(functions: str) -> None:
    with pytest.raises(ZooError, match="ended in the middle of it"):
        UserFunction(f"{functions}:dies", workers=1)(torch.zeros(1, 2))


@pytest.mark.slow
def test_processes_give_what_one_does(functions: str) -> None:
    points = torch.rand(7, 3, dtype=torch.float64)
    function = UserFunction(f"{functions}:bowl", workers=2)
    try:
        assert torch.equal(function(points), UserFunction(f"{functions}:bowl")(points))
    finally:
        function.close()


def test_what_lies_outside_a_box_is_mirrored_into_it() -> None:
    box = Box(2, low=[0.0, -1.0], high=[1.0, 3.0])
    genomes = torch.tensor([[0.25, 0.5], [-0.25, 1.25], [2.25, -1.0]], dtype=torch.float64)
    assert box.decode(genomes).tolist() == [[0.25, 1.0], [0.25, 2.0], [0.25, 3.0]]
    points = torch.rand(5, 2, dtype=torch.float64)
    assert torch.allclose(box.decode(box.encode(points)), points)


def test_a_known_function_starts_where_it_is_usual() -> None:
    assert Objective("rosenbrock", 3).box.start.tolist() == [-1, -1, -1]
    assert Objective("rosenbrock", 2, low=0.0, high=4.0).box.start.tolist() == [2, 2]


def test_neurons_are_asked_for_where_there_are_none() -> None:
    model = EvolvedController(
        {"name": "pole-balancing"}, 3, 1, policy="lstm", hidden=2, optimizer="esp"
    )
    with pytest.raises(UsageError, match="not cut into neurons"):
        model.make_search(0)
