"""Data without a test part, or without a validation part, through every command; and callbacks
that monitor what does not exist."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zoo.errors import UsageError
from zoo.plugin import EmptyPartError
from zoo.runs.run import Run
from zoo.training.interruption import TrainingInterrupted
from zoo.training.train import train

SHORT = {"trainer.logger": False, "trainer.enable_progress_bar": False, "trainer.max_epochs": 2}
WORDS = ("--trainer.logger", "false", "--trainer.max_epochs", "2")


def nothing(self: Any) -> list[Any]:
    return []


def refuse(self: Any) -> Any:
    raise EmptyPartError("no point is in the test part")


def stopper(monitor: str, **arguments: Any) -> dict[str, Any]:
    given = {"monitor": monitor, **arguments}
    return {**SHORT, "trainer.callbacks": [{"class_path": "EarlyStopping", "init_args": given}]}


@pytest.fixture(params=[nothing, refuse], ids=["an empty list", "an error"])
def no_test(request: pytest.FixtureRequest, toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo_toy.data import Points

    monkeypatch.setattr(Points, "test_dataloader", request.param)


@pytest.fixture
def no_validation(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo_toy.data import Points

    monkeypatch.setattr(Points, "val_dataloader", nothing)


def test_without_a_test_part_a_run_ends_with_its_bundle(no_test: None, zoo: Callable) -> None:
    done = zoo("train", "toy/points", "--out", "run", *WORDS)
    assert done.status == 0
    assert "the data have no test part: nothing was tested" in done.err
    run = Run(Path("run"))
    assert run.finished
    assert set(run.metrics) == {"train/loss", "train/accuracy", "val/loss", "val/accuracy"}
    assert "val/accuracy" in done.out
    assert (run.plots / "curves.png").is_file()

    done = zoo("finetune", "run", "--out", "tuned", *WORDS)
    assert done.status == 0
    assert Run(Path("tuned")).finished

    done = zoo("test", "run", "--out", "measured")
    assert done.status == 2
    assert done.err.endswith(
        "zoo: the data 'toy-points' have no test part: measure on other data with --data NAME, or "
        "on all that is found under a folder with --data.root DIR --data.split all\n"
    )
    assert not Path("measured").exists()

    done = zoo("export", "run", "--format", "torch-export", "--out", "model.pt2")
    assert done.status == 0, done.err
    assert "the model's example input (its data have no test part)" in done.out


def test_without_a_test_part_a_run_that_was_cut_ends(no_test: None) -> None:
    with pytest.raises(TrainingInterrupted):
        train("toy/points", {**SHORT, "model.ctrl_c_at_step": 6}, out="run")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    assert train("toy/points", {"model.ctrl_c_at_step": 6}, resume="run").finished


def test_without_a_validation_part_a_run_ends(no_validation: None) -> None:
    run = train("toy/points", SHORT, out="run")
    assert set(run.metrics) == {"train/loss", "train/accuracy", "test/loss", "test/accuracy"}


@pytest.mark.parametrize("out", [None, "run"])
def test_callbacks_that_monitor_a_validation_are_refused_without_one(
    no_validation: None, out: str | None
) -> None:
    reason = r"EarlyStopping monitors 'val/loss', and the data have no validation part"
    with pytest.raises(UsageError, match=reason):
        train("toy/points", stopper("val/loss"), out=out)
    assert list(Path().iterdir()) == []
    train("toy/points", stopper("train/loss"), out=out)


def test_limits_that_leave_validation_out_count_too(toy: Any) -> None:
    given = {**stopper("val/loss"), "trainer.limit_val_batches": 0}
    with pytest.raises(UsageError, match=r"with trainer\.limit_val_batches 0 nothing is validated"):
        train("toy/points", given, out="run")
    assert not Path("run").exists()


@pytest.mark.parametrize("check", ["plots", "fits", "facts-true"])
def test_the_conformance_kit_does_without_a_test_part(write: Callable, check: str) -> None:
    from small_plugin import data, make

    write(data("def test_dataloader(self):\n    return []"))
    result = make(check, "dataset" if check == "facts-true" else "model")
    assert result.outcome == ("skipped" if check == "plots" else "passed"), str(result)


# Names that nothing logs


@pytest.mark.parametrize(
    ("monitor", "hint"),
    [
        ("val_loss", "did you mean 'val/loss'"),
        ("val/acuracy", "did you mean 'val/accuracy'"),
        ("val/f1", "there are val/accuracy, val/loss"),
    ],
)
@pytest.mark.parametrize("out", [None, "run"])
def test_a_misspelt_monitor_is_refused_before_the_first_epoch(
    toy: Any, monitor: str, hint: str, out: str | None
) -> None:
    with pytest.raises(UsageError, match=rf"EarlyStopping monitors '{monitor}'.*: {hint}"):
        train("toy/points", stopper(monitor), out=out)
    assert list(Path().iterdir()) == []


def test_steps_that_end_before_the_first_validation_leave_nothing_to_stop_by(toy: Any) -> None:
    run = train("toy/points", {**stopper("val/loss"), "trainer.max_steps": 1}, out="run")
    assert run.finished
    assert "val/loss" not in run.metrics


def test_a_monitor_of_the_training_costs_no_epoch(toy: Any) -> None:
    with pytest.raises(RuntimeError, match="train/los"):
        train("toy/points", stopper("train/los"), out="run")
    assert Run(Path("run")).checkpoint.is_file()
    right = {"trainer.callbacks": stopper("train/loss")["trainer.callbacks"]}
    run = train("toy/points", right, resume="run")
    plain = train("toy/points", SHORT, out="plain")
    assert run.metrics == plain.metrics


def test_a_metric_of_one_class_may_come_later(toy: Any) -> None:
    given = stopper("val/accuracy/cloud 2", strict=False)
    assert train("toy/points", given, out="run").finished


def test_what_lightning_refuses_only_when_fitting_leaves_no_folder(toy: Any) -> None:
    given = {**SHORT, "trainer.val_check_interval": 60}
    with pytest.raises(UsageError, match=r"Lightning refuses the settings.*val_check_interval"):
        train("toy/points", given, out="run")
    assert not Path("run").exists()
    assert train("toy/points", SHORT, out="run").finished


def test_no_epochs_are_said(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run = train("toy/points", {**SHORT, "trainer.max_epochs": 0}, out="run")
    assert run.finished
    assert "nothing was trained" in capsys.readouterr().err
