"""``zoo test``: the Trainer's settings that concern a measurement, and no others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zoo.inference.evaluate import evaluate
from zoo.training.train import train

SHORT = {"trainer.logger": False, "trainer.enable_progress_bar": False, "trainer.max_epochs": 1}


@pytest.fixture
def run(toy: Any) -> Path:
    return train("toy/points", SHORT, out="run").path


def test_limits_and_precision_are_taken(run: Path) -> None:
    all_of_it, part = evaluate(run), evaluate(run, {"trainer.limit_test_batches": 1})
    assert all_of_it["test/loss"] != part["test/loss"]
    rough = evaluate(run, {"trainer.precision": "bf16-mixed"})
    assert rough["test/loss"] != all_of_it["test/loss"]
    assert rough["test/loss"] == pytest.approx(all_of_it["test/loss"], rel=0.05)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("trainer.max_epochs", "'trainer.max_epochs' concerns no measurement: a test takes "),
        ("trainer.min_epochs", "'trainer.min_epochs' concerns no measurement"),
        ("trainer.limit_test_batch", "did you mean 'trainer.limit_test_batches'"),
        ("model.hidden", "--model.hidden: a trained model keeps its arguments; omit it"),
        ("init_from.freeze", "--init_from.freeze: a trained model has its weights; omit it"),
    ],
)
def test_the_others_are_refused_by_name(run: Path, zoo: Callable, setting: str, said: str) -> None:
    done = zoo("test", run, f"--{setting}", "1", "--out", "measured")
    assert (done.status, done.out) == (2, "")
    assert said in done.err
    assert not Path("measured").exists()
