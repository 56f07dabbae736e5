"""A run that was cut ends as one that was never cut, whatever the Trainer is set to."""

from __future__ import annotations

import functools
import os
import random
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from cuts import (
    SETTINGS,
    assert_same,
    calls_of,
    checkpoints,
    die_at_call,
    in_a_process,
    toy_run,
    with_signal,
)

import zoo.training.train
import zoo.training.trainer
from zoo.bundles.load import load
from zoo.runs.run import Run
from zoo.training.checkpoint import LastCheckpoint
from zoo.training.train import train


def callback(name: str, **arguments: Any) -> dict[str, Any]:
    return {"trainer.callbacks": [{"class_path": name, "init_args": arguments}]}


KEEPER = {"monitor": "val/accuracy", "mode": "max"}
AVERAGING = {"swa_lrs": 0.05, "swa_epoch_start": 1, "annealing_epochs": 2, "device": None}
CASES: dict[str, dict[str, Any]] = {
    "max_steps within an epoch": {"trainer.max_epochs": None, "trainer.max_steps": 60},
    "max_steps at an epoch's end": {"trainer.max_epochs": None, "trainer.max_steps": 50},
    "max_steps before max_epochs": {"trainer.max_steps": 60},
    "max_epochs before max_steps": {"trainer.max_steps": 600},
    "max_steps and accumulation": {"trainer.max_steps": 15, "trainer.accumulate_grad_batches": 4},
    "early stopping": {
        **callback("EarlyStopping", monitor="val/loss", mode="max", patience=1),
        "trainer.max_epochs": 6,
    },
    "early stopping within epochs": {
        **callback("EarlyStopping", monitor="val/loss", mode="max", patience=3),
        "trainer.max_epochs": 6,
        "trainer.val_check_interval": 10,
    },
    "moving average": callback("EMAWeightAveraging", decay=0.9),
    "moving average by epochs": callback(
        "EMAWeightAveraging", update_every_n_steps=0, update_starting_at_epoch=1
    ),
    "stochastic averaging": callback("StochasticWeightAveraging", **AVERAGING),
    "stochastic averaging with batch normalization": {
        **callback("StochasticWeightAveraging", **AVERAGING),
        "model.batch_norm": True,
    },
    "accumulation": {"trainer.accumulate_grad_batches": 4},
    "accumulation from an epoch on": callback("GradientAccumulationScheduler", scheduling={1: 3}),
    "learning rate finder": callback("LearningRateFinder", num_training_steps=30, max_lr=0.5),
    "batch size finder": callback("BatchSizeFinder", max_trials=2),
    "best by a metric": callback("ModelCheckpoint", **KEEPER),
    "best of many": callback("ModelCheckpoint", **KEEPER, save_top_k=2, every_n_train_steps=8),
    "all and the last": callback("ModelCheckpoint", save_top_k=-1, save_last=True),
    "always the same name": callback("ModelCheckpoint", **KEEPER, filename="best"),
}
"""Settings that decide when a training ends, what its weights become or which files it keeps."""

EVERY = os.environ.get("ZOO_TEST_SETTINGS") == "all"
"""`make test-settings` takes every setting; the suite takes one of each kind."""
SOME = (
    "max_steps within an epoch",
    "early stopping",
    "moving average",
    "stochastic averaging",
    "accumulation",
    "learning rate finder",
    "best of many",
)


def chosen(cases: dict[str, Any], some: Sequence[str]) -> list[str]:
    return list(cases) if EVERY else list(some)


CHAIN = (
    ("on_train_batch_end", 7),
    ("on_validation_end", 1),
    ("on_train_epoch_end", 1),
    ("on_train_batch_end", 14),
    ("on_train_epoch_end", 1),
    ("on_train_end", 1),
    ("on_test_batch_end", 2),
    ("draw", 1),
    ("write_bundle", 1),
)
"""One run is killed at the first, continued, killed at the second, and so on."""


@pytest.fixture
def whole(toy: Any, request: Any, monkeypatch: Any) -> Run:
    """The run that was never cut; the settings stay."""
    for key, value in CASES[request.getfixturevalue("case")].items():
        monkeypatch.setitem(SETTINGS, key, value)
    return toy_run(out="whole")


def killed(hook: str, number: int) -> None:
    """Train, or continue, and die on the way."""

    def work(out: str) -> Run:
        return toy_run(out=out, resume="auto")

    def die(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if hook.startswith("on_"):
        with_signal(hook, number, signal.SIGKILL, work)
    else:
        setattr(zoo.training.train, hook, die)
        work("cut")


STOPPED = ("max_steps within an epoch", "accumulation", "accumulation from an epoch on")
SAVED = {"each batch saved": True, "each epoch saved": False}


@pytest.mark.parametrize("saved", chosen(SAVED, ["each epoch saved"]))
@pytest.mark.parametrize("case", chosen(CASES, SOME))
def test_killed_at_the_hooks(whole: Run, case: str, saved: str, monkeypatch: Any) -> None:
    every_batch = SAVED[saved]
    if every_batch:
        often = functools.partial(LastCheckpoint, interval=-1.0)
        monkeypatch.setattr(zoo.training.trainer, "LastCheckpoint", often)
    for hook, number in CHAIN:
        status = in_a_process(functools.partial(killed, hook, number))
        assert status in (-signal.SIGKILL, 0), hook  # 0: it was not called so often any more
    run = toy_run(out="cut", resume="auto")
    assert_same(run, whole)
    assert checkpoints(run) == checkpoints(whole)
    assert run.environment["epochs"] == whole.environment["epochs"]


@pytest.mark.slow
@pytest.mark.parametrize("case", chosen(CASES, ["max_steps before max_epochs", "early stopping"]))
def test_killed_at_any_call(whole: Run, case: str, tmp_path: Path) -> None:
    """Killed at three moments spread over all of the run."""
    total = calls_of(lambda: toy_run(out="counted"), tmp_path)
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # shown on failure
    draw = random.Random(seed)
    for attempt in range(3):
        # A late moment first, so that little is left for the tries that follow.
        moment = draw.randrange(1, total // (attempt + 1))

        def work(moment: int = moment) -> None:
            die_at_call(moment)
            toy_run(out="cut", resume="auto")

        print(f"killed at call {moment} of {total}")
        assert in_a_process(work) in (0, -signal.SIGKILL)
    run = toy_run(out="cut", resume="auto")
    assert_same(run, whole)
    assert checkpoints(run) == checkpoints(whole)


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "case",
    chosen(dict.fromkeys(STOPPED), STOPPED[:2]),
)
def test_stopped_by_a_signal(toy: Any, monkeypatch: Any, case: str, which: int) -> None:
    for key, value in CASES[case].items():
        monkeypatch.setitem(SETTINGS, key, value)
    whole = toy_run(out="whole")
    status = {signal.SIGTERM: 143, signal.SIGINT: 130}[which]

    def work(out: str) -> Run:
        return toy_run(out=out, resume="auto")

    for number in (6, 21, 9):
        stopped = functools.partial(with_signal, "on_train_batch_end", number, which, work)
        assert in_a_process(stopped) == status
    assert_same(toy_run(resume="cut"), whole)


def test_a_training_that_had_stopped_continues_if_it_is_told_to(toy: Any, monkeypatch: Any) -> None:
    for key, value in CASES["early stopping"].items():
        monkeypatch.setitem(SETTINGS, key, value)
    assert in_a_process(functools.partial(killed, "draw", 1)) == -signal.SIGKILL
    monkeypatch.setitem(SETTINGS, "trainer.max_epochs", 7)
    assert toy_run(resume="cut").environment["epochs"] == 3


MOVES: dict[str, Callable[[Path], Path]] = {
    "moved": lambda path: path.rename("elsewhere"),
    "named by another path": lambda path: path.absolute(),
    "named through a link": lambda path: _linked(path),
}


KEPT = ("best of many", "best by a metric", "all and the last")


def _linked(path: Path) -> Path:
    Path("link").symlink_to(path.absolute())
    return Path("link")


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("case", chosen(dict.fromkeys(KEPT), KEPT[:1]))
def test_a_run_folder_elsewhere(toy: Any, monkeypatch: Any, case: str, move: str) -> None:
    """Weights kept before the move are the best, and are found, or removed, after it."""
    for key, value in CASES[case].items():
        monkeypatch.setitem(SETTINGS, key, value)
    whole = toy_run(out="whole")
    assert in_a_process(functools.partial(killed, "on_train_batch_end", 60)) == -signal.SIGKILL
    run = toy_run(resume=MOVES[move](Path("cut")))
    assert_same(run, whole)
    assert checkpoints(run) == checkpoints(whole)


def test_the_folder_of_a_users_checkpoints(toy: Any) -> None:
    settings = {**SETTINGS, "trainer.logger": True, **CASES["all and the last"]}
    run = zoo.training.train.train("toy/points", settings, out="run")
    names = [f"epoch={epoch}-step={25 * epoch + 25}.ckpt" for epoch in range(3)]
    assert checkpoints(run) == [*names, "last.ckpt", "newest.ckpt"]


def test_a_name_that_is_the_runs_own(toy: Any, zoo: Callable) -> None:
    words = ["--trainer.callbacks", "[{class_path: ModelCheckpoint, init_args: {filename: last}}]"]
    done = zoo("train", "toy/points", *words, "--out", "run")
    assert done.status == 2
    assert "'last' is that of a run's own checkpoint" in done.err
    assert not Path("run").exists()


def test_an_averaged_model_is_tested_as_it_is_bundled(toy: Any, monkeypatch: Any) -> None:
    """Its constants too, which a bundle does not hold: an average of equal numbers is rounded."""
    tested = []

    def test(_: Any, model: Any, __: Any) -> None:
        tested.append(model.scale)

    monkeypatch.setattr(zoo.training.trainer.ResumableTrainer, "test", test)
    averaging = callback("EMAWeightAveraging", decay=0.9)
    train("toy/images", {"trainer.max_epochs": 1, **averaging}, out="run")
    assert torch.equal(tested[0], load("run").scale)
