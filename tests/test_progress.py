"""The line of an epoch."""

from __future__ import annotations

import math
import re
import time
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.callbacks import EarlyStopping

from zoo.plugin import Budget
from zoo.training.interruption import TrainingInterrupted
from zoo.training.progress import by_importance, fitted, shown_counts, shown_number
from zoo.training.time_left import Estimate, TimeLeft, fraction_done, spoken
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
    seconds = re.findall(r"^epoch \d/2 .* ([\d.]+) s\b", capsys.readouterr().err, re.MULTILINE)
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


def training(epoch: int = 0, step: int = 0, **limits: Any) -> Any:
    return SimpleNamespace(
        lightning_module=SimpleNamespace(counters={"evaluations": limits.pop("count", 0)}),
        datamodule=None,
        callbacks=[Budget({"evaluations": 5000})] if limits.pop("budget", False) else [],
        current_epoch=epoch,
        global_step=step,
        num_training_batches=limits.pop("batches", 10),
        **{"max_epochs": -1, "max_steps": -1, **limits},
    )


@pytest.mark.parametrize(
    ("trainer", "batches", "done"),
    [
        (training(3, max_epochs=10), 5, 0.35),
        (training(3, max_epochs=10, batches=math.inf), 5, 0.3),
        (training(3, 30, max_epochs=10, max_steps=50), 0, 0.6),  # the limit that comes first
        (training(count=1000, budget=True), 7, 0.2),
        (training(3), 5, None),
        (training(count=6000, budget=True), 0, 1.0),
    ],
)
def test_the_part_that_is_done(trainer: Any, batches: int, done: float | None) -> None:
    assert fraction_done(trainer, batches) == done


def test_the_time_left_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([100.0, 160.0, 3760.0])
    monkeypatch.setattr("zoo.training.time_left.time.monotonic", lambda: next(now))
    left = TimeLeft()
    left.begin(0.2)  # a resumed run
    assert left.text(0.2) == ""
    assert left.text(0.4) == "3:00"
    assert left.text(0.6) == "1:01:00"
    assert left.text(1.0) == ""
    assert left.text(None) == ""


def test_an_estimate_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = iter(range(0, 1000, 2))
    monkeypatch.setattr("zoo.training.time_left.time.monotonic", lambda: next(seconds))
    estimate = Estimate()
    stopping = EarlyStopping("val/loss")
    for batch in range(9):
        trainer = training(max_epochs=10, batches=100)
        trainer.callbacks = [stopping]
        estimate.on_train_batch_end(trainer, trainer.lightning_module, None, None, batch)
    assert capsys.readouterr().err == "up to about 50 minutes for 10 epochs\n"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(40, "40 seconds"), (360, "6 minutes"), (1e4, "3 hours"), (2e5, "2 days")],
)
def test_a_length_of_time(seconds: float, shown: str) -> None:
    assert spoken(seconds) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(10_400.0, "10400"), (0.123456, "0.1235"), (-3.0, "-3"), (1e20, "1e+20"), (math.nan, "nan")],
)
def test_numbers(value: float, shown: str) -> None:
    assert shown_number(value) == shown


METRICS = ["train/length", "train/loss", "train/return", "val/length", "val/loss", "val/return/std"]


def test_what_is_monitored_and_the_losses_come_first() -> None:
    assert by_importance(METRICS, ["val/length"], ["train/return"]) == [
        *("val/length", "train/loss", "val/loss", "train/length", "train/return"),
        "val/return/std",
    ]
    twice = ["val/error", "val/accuracy", "test/accuracy", "train/loss_step", "train/loss"]
    assert by_importance(twice, [], []) == ["train/loss", "val/accuracy"]
    assert by_importance(["val/error"], [], []) == ["val/error"]


def test_a_line_is_as_wide_as_it_may_be() -> None:
    metrics = {"train/loss": 1.23456, "val/loss": 2.0, "val/dice": 0.54321, "x": 7.0}
    begin, end = ["epoch 3/40", "env_steps 12345"], ["2.1 s", "1:27 left"]
    whole = "epoch 3/40  env_steps 12345  loss 1.235 val 2  val/dice 0.5432  x 7  2.1 s  1:27 left"
    assert fitted(begin, metrics, end, 100) == whole
    assert fitted(begin, metrics, end, len(whole) - 1) == whole.replace("  x 7", "")
    assert fitted(begin, metrics, end, 74) == (
        "epoch 3/40  env_steps 12345  loss 1.23 val 2  2.1 s  1:27 left"
    )
    assert fitted(begin, metrics, end, 50) == "epoch 3/40  loss 1.23 val 2  2.1 s  1:27 left"
    assert fitted(begin, metrics, end, 20) == "epoch 3/40  loss 1."[:19] + "…"


def test_a_bar_in_a_terminal_leaves_a_line_an_epoch(
    toy: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    train("toy/points", {"trainer.max_epochs": 2}, out="run")
    said = capsys.readouterr()
    assert said.out == ""
    plain = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", said.err).replace("\r", "\n").splitlines()
    assert any(re.match("epoch 1/2 ━", line) for line in plain)
    lines = [line.rstrip() for line in plain if re.match(r"epoch \d/2 .* s\b", line)]
    assert [line[:9] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert max(map(len, lines)) < 60
    assert "parameters; CPU" in plain[0]
    assert plain[1] == "to watch it: tensorboard --logdir run"


def test_what_was_found_is_told_and_noted(
    toy: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo_toy.data import Points

    found = ["80 points", "40/16/24 train/val/test"]
    monkeypatch.setattr(Points, "describe_found", lambda self: found, raising=False)
    run = train("toy/points", SHORT, out="run")
    said = capsys.readouterr().err
    assert "tensorboard" not in said  # no event files are written
    assert run.environment["found"] == found
    count = run.environment["parameters"]
    assert f"80 points, 40/16/24 train/val/test; {count} parameters; CPU" in said
