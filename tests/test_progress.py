"""The line of an epoch."""

from __future__ import annotations

import math
import re
import time
from types import SimpleNamespace
from typing import Any

import pytest

from zoo.plugin import Budget
from zoo.training.interruption import TrainingInterrupted
from zoo.training.progress import TimeLeft, shown_counts, shown_number
from zoo.training.train import train

SHORT = {"trainer.logger": False, "trainer.max_epochs": 2}


def test_a_resumed_epoch_says_the_seconds_since_the_resume(
    toy: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TrainingInterrupted):
        train("toy/points", {**SHORT, "model.ctrl_c_at_step": 2}, out="run")
    uptime = time.monotonic() + 3095.9
    monkeypatch.setattr("zoo.training.progress.time.monotonic", lambda: uptime)
    capsys.readouterr()
    train("toy/points", {"model.ctrl_c_at_step": 2}, resume="run")
    seconds = re.findall(r"^epoch \d/2 .* ([\d.]+) s$", capsys.readouterr().err, re.MULTILINE)
    assert seconds == ["0.0", "0.0"]


def trainer_of(count: int, **budget: int) -> Any:
    return SimpleNamespace(
        lightning_module=SimpleNamespace(counters={"evaluations": count}),
        datamodule=None,
        callbacks=[Budget(budget)],
    )


def test_counts_stand_whole_with_their_budget() -> None:
    assert shown_counts(trainer_of(12_345_678)) == {"evaluations": "12345678"}
    assert shown_counts(trainer_of(300, evaluations=5000)) == {"evaluations": "300/5000"}


def test_the_time_left_of_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([100.0, 100.0, 160.0, 160.0])
    monkeypatch.setattr("zoo.training.progress.time.monotonic", lambda: next(now))
    left = TimeLeft()
    left.begin(trainer_of(1000, evaluations=5000))  # a resumed run
    assert left.text(trainer_of(1000, evaluations=5000)) == ""
    assert left.text(trainer_of(2000, evaluations=5000)) == "0:03:00"
    assert left.text(trainer_of(2000)) == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [(10_400.0, "10400"), (0.123456, "0.1235"), (-3.0, "-3"), (1e20, "1e+20"), (math.nan, "nan")],
)
def test_numbers(value: float, shown: str) -> None:
    assert shown_number(value) == shown
