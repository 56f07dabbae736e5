"""Runs of the toy that are cut: by a signal, in a process of their own, or at a call."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback

import zoo.training.train
from zoo.runs.run import Run
from zoo.training.interruption import TrainingInterrupted
from zoo.training.train import train

EPOCHS = 3
STEPS = 25
"""In every epoch; two batches of validation follow each."""
SETTINGS = {
    "trainer.max_epochs": EPOCHS,
    "trainer.logger": False,
    "trainer.enable_progress_bar": False,
    "data.size": 8 * STEPS,
}


def toy_run(**options: Any) -> Run:
    return train("toy/points", SETTINGS, **options)


def in_a_process(work: Callable[[], object]) -> int:
    """Do the work in a process of its own.

    Returns:
        Its exit status, or minus the signal that killed it.
    """
    if not hasattr(os, "fork"):
        pytest.skip("this system does not fork processes")
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            status = 0
        except TrainingInterrupted as stopped:
            status = stopped.status
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def assert_same(run: Run, whole: Run) -> None:
    """Weights to the byte, and every metric."""
    assert run.finished
    name = "model.safetensors"
    assert (run.bundle / name).read_bytes() == (whole.bundle / name).read_bytes()
    assert run.metrics_csv.read_text() == whole.metrics_csv.read_text()
    assert run.metrics == whole.metrics
    mine, other = (torch.load(r.checkpoint, weights_only=True) for r in (run, whole))
    for key in ("global_step", "optimizer_states", "lr_schedulers"):
        assert str(mine[key]) == str(other[key])
    assert list(run.path.rglob(".*.tmp")) == []


def die_at_call(moment: int) -> None:
    """Kill this process at its n-th call of a function, in Python or C: any moment there is."""
    count = 0

    def profile(*_: Any) -> None:
        nonlocal count
        count += 1
        if count == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(profile)


def calls_of(work: Callable[[], object], tmp_path: Path) -> int:
    """How many calls the work makes."""
    count = 0

    def profile(*_: Any) -> None:
        nonlocal count
        count += 1

    def counted() -> None:
        sys.setprofile(profile)
        work()
        sys.setprofile(None)
        (tmp_path / "calls").write_text(str(count))

    assert in_a_process(counted) == 0
    return int((tmp_path / "calls").read_text())


class Signal(Callback):
    """Sends this process a signal at the n-th call of a hook."""

    def __init__(self, hook: str, number: int, which: int) -> None:
        def call(*_: Any, **__: Any) -> None:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), which)

        self.left = number
        setattr(self, hook, call)


def with_signal(hook: str, number: int, which: int, work: Callable[..., Run] = toy_run) -> None:
    """Train into ``cut``, and send a signal on the way."""
    original = zoo.training.train.run_settings

    def run_settings(*given: Any) -> dict[str, Any]:
        settings = original(*given)
        users = [*settings.get("callbacks", []), Signal(hook, number, which)]
        return {**settings, "callbacks": users}

    zoo.training.train.run_settings = run_settings
    try:
        work(out="cut")
    finally:
        zoo.training.train.run_settings = original


def cut_toy_run(out: Path) -> Run:
    """A run that was killed in the last of three epochs, with the checkpoints of the first and the
    second."""
    killed = partial(
        with_signal,
        "on_train_batch_end",
        2 * STEPS + 5,
        signal.SIGKILL,
        lambda **_: toy_run(out=out),
    )
    assert in_a_process(killed) == -signal.SIGKILL
    return Run(out)


def checkpoints(run: Run) -> list[str]:
    """The names of the files in a run's folder of checkpoints."""
    folder = run.checkpoint.parent
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
