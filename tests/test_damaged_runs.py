"""A run with damaged files: checkpoints are found out, logs never stand in the way."""

from __future__ import annotations

import functools
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cuts import (
    SETTINGS,
    STEPS,
    assert_same,
    checkpoints,
    cut_toy_run,
    in_a_process,
    toy_run,
    with_signal,
)
from hostile.runs import DAMAGES, LOGS, flip

from zoo.errors import UsageError
from zoo.io.sealed_zip import is_whole
from zoo.runs.run import Run
from zoo.training.checkpoint_files import previous_of
from zoo.training.train import train


@pytest.fixture
def cut(toy: Any) -> Run:
    return cut_toy_run(Path("cut"))


def test_any_flipped_bit_is_found(cut: Run) -> None:
    """Headers, padding, weights and the seal itself."""
    bits = 8 * cut.checkpoint.stat().st_size
    draw = random.Random(0)
    seal = range(bits - 8 * 40, bits)
    content = cut.checkpoint.read_bytes()
    for bit in (*range(0, 8 * 64, 5), *seal, *(draw.randrange(bits) for _ in range(500))):
        flip(cut.checkpoint, bit)
        assert not is_whole(cut.checkpoint), bit
        cut.checkpoint.write_bytes(content)
    assert is_whole(cut.checkpoint)


def test_a_checkpoint_without_a_seal_is_checked_by_its_zip(toy: Any, tmp_path: Path) -> None:
    """As 0.1.0, or the user, wrote it."""
    path = tmp_path / "some.ckpt"
    torch.save({"weights": torch.zeros(1000)}, path)
    assert is_whole(path)
    flip(path, 8 * (path.stat().st_size // 2))
    assert not is_whole(path)
    path.write_bytes(b"no zip")
    assert not is_whole(path)


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_checkpoint_before_a_damaged_one_is_used(cut: Run, zoo: Callable, damage: str) -> None:
    whole = toy_run(out="whole")
    DAMAGES[damage](cut.checkpoint)
    before = torch.load(previous_of(cut.checkpoint), weights_only=True)
    assert before["global_step"] == STEPS
    done = zoo("train", "toy/points", "--resume", "cut")
    assert done.status == 0
    assert "cut/checkpoints/last.ckpt is damaged" in done.err
    assert "continues from the checkpoint before it, cut/checkpoints/previous.ckpt" in done.err
    assert_same(cut, whole)
    assert checkpoints(cut) == ["last.ckpt"]


def test_a_damaged_one_takes_no_place(cut: Run) -> None:
    """The one before it stays until there is another that is whole."""
    flip(cut.checkpoint, 4 * cut.checkpoint.stat().st_size)
    killed = functools.partial(
        with_signal, "on_train_epoch_end", 2, signal.SIGKILL, lambda out: toy_run(resume=out)
    )
    assert in_a_process(killed) == -signal.SIGKILL
    assert is_whole(cut.checkpoint)
    before = torch.load(previous_of(cut.checkpoint), weights_only=True)
    assert before["global_step"] == STEPS


def test_both_are_damaged(cut: Run, zoo: Callable) -> None:
    for path in (cut.checkpoint, previous_of(cut.checkpoint)):
        flip(path, 4 * path.stat().st_size)
    done = zoo("train", "toy/points", "--resume", "cut")
    assert done.status == 2
    assert "previous.ckpt is damaged: start another run without --resume" in done.err
    assert not cut.finished


def test_a_damaged_best(toy: Any) -> None:
    keeper = {"class_path": "ModelCheckpoint", "init_args": {"monitor": "val/loss"}}
    settings = {**SETTINGS, "trainer.callbacks": [keeper]}
    killed = functools.partial(
        with_signal,
        "on_test_batch_end",
        1,
        signal.SIGKILL,
        lambda out: train("toy/points", settings, out=out),
    )
    assert in_a_process(killed) == -signal.SIGKILL
    (best,) = Path("cut/checkpoints").glob("epoch*.ckpt")
    flip(best, 4 * best.stat().st_size)
    with pytest.raises(UsageError, match=f"{best.name} is damaged"):
        train("toy/points", resume="cut")


def test_a_checkpoint_that_runs_code(cut: Run, zoo: Callable, tmp_path: Path) -> None:
    """The sentence is that of every other command."""

    class Payload:
        def __reduce__(self) -> Any:
            return os.system, (f"touch '{tmp_path / 'it ran'}'",)

    content = torch.load(cut.checkpoint, weights_only=True)
    torch.save({**content, "payload": Payload()}, cut.checkpoint)
    done = zoo("train", "toy/points", "--resume", "cut")
    assert done.status == 2
    assert "is a pickle that runs code when it is loaded" in done.err
    assert not (tmp_path / "it ran").exists()


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1, 2]])
def test_a_checkpoint_of_something_else(cut: Run, zoo: Callable, content: object) -> None:
    torch.save(content, cut.checkpoint)
    done = zoo("train", "toy/points", "--resume", "cut")
    assert done.status == 2
    assert "is not a checkpoint that training can continue from: it has no" in done.err


@pytest.mark.parametrize("damage", LOGS)
@pytest.mark.parametrize("name", ["metrics.csv", "metrics.json", "environment.json"])
def test_damaged_logs_block_no_resume(
    cut: Run, zoo: Callable, capsys: Any, name: str, damage: str
) -> None:
    whole = toy_run(out="whole")
    path = cut.path / name
    path.touch()
    LOGS[damage](path)
    done = zoo("train", "toy/points", "--resume", "cut")
    assert done.status == 0, done.err
    assert cut.finished
    assert cut.metrics == whole.metrics
    lost = whole.environment.keys() - cut.environment.keys()
    assert lost <= {"overridden"}  # what was typed is known to the file alone
    assert cut.environment.keys() <= whole.environment.keys()
    assert cut.environment["recipe"] == "toy/points"


def test_what_a_killed_start_left(toy: Any) -> None:
    """A temporary file of a process that is gone goes with the next start."""
    Path("run").mkdir()
    Path("run/.environment.json.77.tmp").write_text("{", encoding="utf-8")
    toy_run(out="run", resume="auto")
    assert list(Path("run").glob(".*.tmp")) == []
