"""A learning rate and a batch size to begin with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zoo
from zoo.errors import UsageError
from zoo.experiments import tuning
from zoo.experiments.tuning import SizeCurve, steepest


def test_both(toy: Any, zoo: Callable) -> None:
    words = ["toy/images", "--data.size", "20"]
    done = zoo("tune", *words, "--lr", "--batch-size", "--out", "tuned", "--json")
    assert done.status == 0, done.err
    (found,) = json.loads(done.out)
    assert list(found["overrides"]) == ["data.batch_size", "model.lr"]
    assert found["before"] == {"model.lr": 0.01, "data.batch_size": 16}
    assert found["batch_size"]["sizes"] == [2, 4, 8, 16]
    assert found["batch_size"]["ended"] == "all data are in one batch"
    assert 1e-7 < found["overrides"]["model.lr"] < 1
    assert found["overrides"]["model.lr"] == float(f"{found['learning_rate']['suggestion']:.2g}")
    assert sorted(path.name for path in Path("tuned/plots").iterdir()) == [
        "batch_size.png",
        "learning_rate.png",
    ]
    saved = json.loads(Path("tuned/tune.json").read_text(encoding="utf-8"))
    assert saved["learning_rate"] == found["learning_rate"]
    assert "exists and is not empty" in zoo("tune", *words, "--out", "tuned").err


def test_what_is_printed_can_be_pasted(toy: Any, zoo: Callable) -> None:
    done = zoo("tune", "toy/points", "--data.size", "24")
    assert done.status == 0, done.err
    *_, command = done.out.splitlines()
    assert command.startswith("  zoo train toy/points --data.size 24 --model.learning_rate ")
    assert zoo(*command.split()[1:], "--print-config").status == 0
    assert [path.name for path in Path().iterdir()] == ["runs"]
    assert [path.name for path in Path("runs").iterdir()] == ["tune"]


def test_the_curves() -> None:
    rates = np.geomspace(1e-8, 1, 100)
    losses = 3 - 2 / (1 + (3e-3 / rates) ** 2) + np.maximum(0, rates - 0.1)
    assert 1e-3 < (steepest(list(rates), list(losses)) or 0) < 1e-2
    assert steepest(list(rates), list(rates)) is None
    assert steepest([1.0, 2.0], [2.0, 1.0]) is None
    assert SizeCurve([2, 4, 8, 16], [10.0, 19.0, 20.0, 18.0]).suggestion == 4


def test_memory_that_runs_out_ends_the_search(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = iter([0, 0, 0, 100, 1000, 1000, 1000])
    monkeypatch.setattr(tuning, "memory_peak", lambda: next(taken))
    monkeypatch.setattr(tuning, "memory_left", lambda: 500)
    found = zoo.tune("toy/images", {"data.size": 64}, batch_size=True, out="tuned")
    assert found.size is not None
    assert found.size.sizes == [2, 4, 8]
    assert found.size.ended == "more would not fit into memory"
    assert found.rate is None


@pytest.mark.parametrize(
    ("patch", "options", "says"),
    [
        ({"automatic_optimization": False}, {}, "which Lightning's finders do not take"),
        ({"configure_optimizers": lambda self: None}, {}, "the model has no optimizers"),
    ],
)
def test_learners_of_another_kind(
    toy: Any,
    monkeypatch: pytest.MonkeyPatch,
    patch: dict[str, Any],
    options: dict[str, Any],
    says: str,
) -> None:
    from zoo_toy.model import ToyNet

    for name, value in patch.items():
        monkeypatch.setattr(ToyNet, name, value)
    with pytest.raises(UsageError, match=says):
        zoo.tune("toy/points", **options)
    assert list(Path().iterdir()) == []


def test_without_such_an_argument(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.experiments import tune

    monkeypatch.setattr(tune, "argument_names", lambda *_: ["hidden"])
    with pytest.raises(UsageError, match="has no learning rate: it has no argument lr or"):
        zoo.tune("toy/points")
    with pytest.raises(UsageError, match="have no batch size: no argument batch_size"):
        zoo.tune("toy/points", batch_size=True)
    with pytest.raises(UsageError, match="fast_dev_run"):
        zoo.tune("toy/points", {"trainer.fast_dev_run": True})
