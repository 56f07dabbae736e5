"""A run that was cut, at any moment and by whatever signal, ends as one that was never cut."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from cuts import (
    EPOCHS,
    SETTINGS,
    STEPS,
    assert_same,
    calls_of,
    die_at_call,
    in_a_process,
    toy_run,
    with_signal,
)
from safetensors.torch import load_file

from zoo.io import atomic as files
from zoo.runs.run import Run
from zoo.training.checkpoint_files import previous_of
from zoo.training.finetune import finetune
from zoo.training.interruption import TrainingInterrupted
from zoo.training.train import train

# Killed


@pytest.mark.slow
def test_killed_at_random_moments(toy: Any, tmp_path: Path) -> None:
    """Four runs, each killed at moments spread over all of it until one try comes through."""
    whole = toy_run(out="whole")
    total = calls_of(lambda: toy_run(out="counted"), tmp_path)
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # shown on failure
    draw = random.Random(seed)
    for number in range(4):
        out = f"cut{number}"
        for attempt in range(20):
            # A late moment first, so that little is left for the tries that follow.
            moment = draw.randrange(1, total // (attempt + 1))

            def work(out: str = out, moment: int = moment) -> None:
                die_at_call(moment)
                toy_run(out=out, resume="auto")

            print(f"{out}: killed at call {moment} of {total}")
            status = in_a_process(work)
            if status == 0 or attempt == 2:
                break
            assert status == -signal.SIGKILL
        assert_same(toy_run(out=out, resume="auto"), whole)


MOMENTS = {
    "half of it written": ("fsync", 0),
    "written, not renamed": ("replace", 0),
    "just renamed": ("replace", 1),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("number", [1, 2, EPOCHS])
def test_killed_while_a_checkpoint_is_written(toy: Any, moment: str, number: int) -> None:
    name, after = MOMENTS[moment]
    whole = toy_run(out="whole")

    def work() -> None:
        owner = os if name == "fsync" else Path
        original = getattr(owner, name)
        count = 0

        def call(*arguments: Any) -> Any:
            nonlocal count
            of_checkpoint = "last.ckpt" in (
                os.readlink(f"/proc/self/fd/{arguments[0]}")
                if name == "fsync"
                else str(arguments[-1])
            )
            count += of_checkpoint
            if of_checkpoint and count == number:
                if name == "fsync":
                    os.truncate(arguments[0], os.fstat(arguments[0]).st_size // 2)
                elif after:
                    original(*arguments)
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments)

        setattr(owner, name, call)
        toy_run(out="cut")

    assert in_a_process(work) == -signal.SIGKILL
    run = Run(Path("cut"))
    done = number - (0 if after else 1)
    kept = [path for path in (run.checkpoint, previous_of(run.checkpoint)) if path.is_file()]
    assert bool(kept) == (done > 0)
    if done:
        assert torch.load(kept[0], weights_only=True)["global_step"] == done * STEPS
    assert bool(files.leftovers(run.checkpoint.parent)) == (not after)
    assert_same(toy_run(resume="cut"), whole)


def test_a_full_disk_at_a_checkpoint(toy: Any, zoo: Callable, monkeypatch: Any) -> None:
    """The run ends with a sentence, the checkpoint before is whole, and the run goes on."""
    whole = toy_run(out="whole")
    original, count = os.fsync, 0

    def full(descriptor: int) -> None:
        nonlocal count
        count += "last.ckpt" in os.readlink(f"/proc/self/fd/{descriptor}")
        if count == 2:
            raise OSError(28, os.strerror(28))
        original(descriptor)

    words = [f"--{key}={value}" for key, value in SETTINGS.items()]
    with monkeypatch.context() as patch:
        patch.setattr("zoo.io.atomic.os.fsync", full)
        done = zoo("train", "toy/points", *words, "--out", "cut")
    assert done.status == 1
    assert "cut/checkpoints/last.ckpt: No space left on device: make room there" in done.err
    assert "Traceback" not in done.err
    kept = torch.load("cut/checkpoints/last.ckpt", weights_only=True)
    assert kept["global_step"] == STEPS
    assert_same(toy_run(resume="cut"), whole)


def test_killed_before_the_first_checkpoint(toy: Any, monkeypatch: Any) -> None:
    """A fine-tuning has no weights but those it started from; they are loaded again."""
    toy_run(out="origin")
    monkeypatch.setitem(SETTINGS, "data.clouds", 4)

    def tune(**options: Any) -> Run:
        return finetune("origin", overrides=SETTINGS, **options)

    whole = tune(out="whole")
    assert in_a_process(lambda: with_signal("on_train_batch_end", 9, signal.SIGKILL, tune)) == -9
    assert not Run(Path("cut")).checkpoint.exists()
    run = tune(resume="cut")
    assert_same(run, whole)
    assert run.environment["origin"] == whole.environment["origin"]


# TrainingInterrupted by a signal


CUTS = [
    ("on_train_batch_start", 1),
    ("on_train_batch_end", 7),
    ("on_train_batch_end", STEPS - 1),
    ("on_train_batch_end", STEPS),
    ("on_train_batch_end", EPOCHS * STEPS),
    ("on_train_epoch_start", 2),
    ("on_validation_batch_end", 4),  # the first two are the sanity check's
    ("on_validation_end", 3),
    ("on_train_epoch_end", 2),
    ("on_train_epoch_end", EPOCHS),
    ("on_test_batch_end", 1),
]


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_stopped_anywhere_the_run_ends_the_same(toy: Any, which: int, capfd: Any) -> None:
    whole = toy_run(out="whole")
    status = {signal.SIGTERM: 143, signal.SIGINT: 130}[which]
    for hook, number in CUTS:
        assert in_a_process(lambda h=hook, n=number: with_signal(h, n, which)) == status, hook
        run = Run(Path("cut"))
        assert not run.finished
        try:
            assert_same(toy_run(resume="cut"), whole)
        except AssertionError as error:
            raise AssertionError(f"after a stop at {hook} {number}") from error
        run.path.rename(f"{hook}-{number}")
    assert "Traceback" not in capfd.readouterr().err


def test_a_stop_within_an_epoch_is_exact_to_the_step(toy: Any) -> None:
    with pytest.raises(TrainingInterrupted) as stopped:
        with_signal("on_train_batch_start", STEPS + 4, signal.SIGTERM)
    assert stopped.value.status == 143
    content = torch.load("cut/checkpoints/last.ckpt", weights_only=True)
    assert content["global_step"] == STEPS + 4
    assert set(Run(Path("cut")).metrics) >= {"train/loss", "val/loss"}


def test_a_stopped_test_leaves_the_last_weights(toy: Any) -> None:
    """A recipe that keeps the best tests the best: those are not what the run goes on from."""
    best = {
        "class_path": "ModelCheckpoint",
        "init_args": {"monitor": "val/loss", "mode": "max", "save_top_k": 1},
    }
    settings = {**SETTINGS, "trainer.callbacks": [best]}
    whole = train("toy/points", settings, out="whole")

    def work(out: str) -> Run:
        return train("toy/points", settings, out=out)

    with pytest.raises(TrainingInterrupted):
        with_signal("on_test_batch_end", 1, signal.SIGTERM, work)
    last = torch.load("cut/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    wanted = torch.load(whole.checkpoint, weights_only=True)["state_dict"]
    assert all(torch.equal(last[name], wanted[name]) for name in wanted)
    again = train("toy/points", resume="cut")
    assert again.metrics == whole.metrics
    # the test is worth something only if the best is not the last
    kept = load_file(whole.bundle / "model.safetensors")
    assert not all(torch.equal(kept[name], wanted[name]) for name in wanted)


def test_metrics_objects_of_a_module_go_on_within_an_epoch(toy: Any) -> None:
    """The toy for images gathers in torchmetrics objects, the one for points by ``self.log``."""
    settings = {
        "trainer.max_epochs": 2,
        "trainer.limit_train_batches": 8,
        "trainer.logger": False,
        "trainer.enable_progress_bar": False,
        "data.size": 160,
    }

    def work(out: str) -> Run:
        return train("toy/images", settings, out=out)

    whole = work("whole")
    with pytest.raises(TrainingInterrupted):
        with_signal("on_train_batch_end", 11, signal.SIGTERM, work)
    assert_same(train("toy/images", resume="cut"), whole)


def test_an_epoch_that_ends_before_its_data(toy: Any, monkeypatch: Any) -> None:
    """The next one begins at the start of the data, not where the last one stopped."""
    monkeypatch.setitem(SETTINGS, "trainer.limit_train_batches", 7)
    whole = toy_run(out="whole")
    for hook, number in (("on_train_epoch_end", 1), ("on_train_batch_end", 10)):
        with pytest.raises(TrainingInterrupted):
            with_signal(hook, number, signal.SIGTERM)
        run = toy_run(resume="cut")
        assert_same(run, whole)
        run.path.rename(hook)


@pytest.mark.slow
def test_workers_go_on_as_well(toy: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(SETTINGS, "data.num_workers", 2)
    monkeypatch.setitem(SETTINGS, "trainer.max_epochs", 2)
    whole = toy_run(out="whole")
    for which in (signal.SIGKILL, signal.SIGTERM):
        status = in_a_process(lambda w=which: with_signal("on_train_batch_end", STEPS + 4, w))
        assert status in (-signal.SIGKILL, 143)
        run = toy_run(resume="cut")
        assert_same(run, whole)
        run.path.rename(str(int(which)))
    # and the number of workers makes no difference
    monkeypatch.setitem(SETTINGS, "data.num_workers", 0)
    assert_same(toy_run(out="alone"), whole)


# What is resumed


def cut(out: str | None = None, **settings: Any) -> Run:
    with pytest.raises(TrainingInterrupted) as stopped:
        train("toy/points", {**SETTINGS, "model.ctrl_c_at_step": 2, **settings}, out=out)
    return stopped.value.run


def test_a_finished_run_is_left_as_it_is(toy: Any, zoo: Callable) -> None:
    run = toy_run(out="run")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files_of(run)}
    again = toy_run(resume="run")
    assert again.path == run.path
    assert zoo("train", "toy/points", "--resume", "run").status == 0
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files_of(run)}
    assert after == before


def files_of(run: Run) -> list[Path]:
    return [path for path in run.path.rglob("*") if path.is_file()]


def test_overrides_that_contradict_are_all_named(toy: Any, zoo: Callable) -> None:
    run = cut("cut")
    before = {path: path.read_bytes() for path in files_of(run)}
    words = ["--model.hidden", "4", "--data.size", "10", "--seed", "9"]
    done = zoo("train", "toy/points", *words, "--resume", "cut")
    assert done.status == 2
    for problem in ("'model.hidden' was 16, not 4", "'data.size' was 200, not 10", "'seed' was 3"):
        assert problem in done.err
    assert {path: path.read_bytes() for path in files_of(run)} == before


def test_longer_training_and_other_workers_are_no_contradiction(toy: Any) -> None:
    cut("cut", **{"trainer.max_epochs": 1})
    recipe = yaml.safe_load(Path("cut/recipe.yaml").read_text(encoding="utf-8"))
    recipe["model"]["ctrl_c_at_step"] = -1
    Path("cut/recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    changes = {"trainer.max_epochs": 2, "data.num_workers": 0}
    assert train("toy/points", changes, resume="cut").environment["epochs"] == 2


def test_auto_takes_the_newest_unfinished_run_of_the_recipe(toy: Any) -> None:
    first, second = cut(), cut()
    done = toy_run()
    other = train(_renamed(), {**SETTINGS, "trainer.max_epochs": 1})
    assert other.path.parent != first.path.parent
    settings = {**SETTINGS, "model.ctrl_c_at_step": 2}
    assert train("toy/points", settings, resume="auto").path == second.path
    assert train("toy/points", settings, resume="auto").path == first.path
    assert toy_run(resume="auto").path not in (first.path, second.path, done.path)


def _renamed() -> Any:
    from dataclasses import replace

    from zoo.recipes.recipe import read_recipe

    return replace(read_recipe("toy/points"), name="toy/others")


@pytest.mark.parametrize("left", ["nothing", "an empty folder", "halves of files"])
def test_auto_with_a_folder_starts_anew_where_none_began(toy: Any, left: str) -> None:
    if left != "nothing":
        Path("run").mkdir()
    if left == "halves of files":
        Path("run/.recipe.yaml.77.tmp").write_text("model:", encoding="utf-8")
        Path("run/environment.json").write_text("{}", encoding="utf-8")
    run = train("toy/points", {**SETTINGS, "trainer.max_epochs": 1}, out="run", resume="auto")
    assert run.finished
    assert run.environment["recipe"] == "toy/points"


def test_folders_that_are_no_run(toy: Any, zoo: Callable) -> None:
    Path("empty").mkdir()
    for words, message in {
        ("--resume", "empty"): "empty is not a run folder: it has no recipe.yaml",
        ("--resume", "absent"): "absent is not a run folder",
        ("--resume", "empty", "--out", "other"): "omit --out",
    }.items():
        done = zoo("train", "toy/points", *words)
        assert done.status == 2
        assert message in done.err
    assert list(Path("empty").iterdir()) == []


def test_a_damaged_checkpoint(toy: Any, zoo: Callable) -> None:
    run = cut("cut")
    run.checkpoint.write_bytes(run.checkpoint.read_bytes()[:-1000])
    before = run.checkpoint.read_bytes()
    done = zoo("train", "toy/points", "--resume", "cut")
    assert done.status != 0
    assert "Traceback" not in done.err
    assert run.checkpoint.read_bytes() == before


def test_a_checkpoint_runs_no_code(toy: Any, zoo: Callable, tmp_path: Path) -> None:
    run = cut("cut")

    class Payload:
        def __reduce__(self) -> Any:
            return os.system, (f"touch '{tmp_path / 'it ran'}'",)

    content = torch.load(run.checkpoint, weights_only=True)
    torch.save({**content, "payload": Payload()}, run.checkpoint)
    assert zoo("train", "toy/points", "--resume", "cut").status != 0
    assert not (tmp_path / "it ran").exists()


# As a user does it


@pytest.mark.slow
def test_the_command_killed_and_resumed(toy: Any, python: Callable) -> None:
    """Convolution, batch normalization, dropout; SIGKILL at a random moment, then SIGTERM."""
    words = [
        *("-m", "zoo", "train", "toy/images", "--model.dropout", 0.5, "--data.size", 160),
        *("--trainer.max_epochs", 40),
    ]
    assert python(*words, "--out", "whole").returncode == 0
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed)
    for which in (signal.SIGKILL, signal.SIGTERM):
        start = ["--resume", "auto"] if Path("runs").exists() else []
        process = python(*words, *start, start=subprocess.Popen, stderr=subprocess.PIPE)
        try:
            for line in process.stderr:
                if re.match(r"epoch \d+/", line):
                    break
            time.sleep(draw.uniform(0, 0.2))
            process.send_signal(which)
            rest = process.communicate(timeout=120)[1]
        finally:
            process.kill()
        if process.returncode:  # otherwise it was quicker than the signal
            assert process.returncode == {signal.SIGKILL: -9, signal.SIGTERM: 143}[which], rest
    (path,) = Path("runs/toy/images").iterdir()
    done = python("-m", "zoo", "train", "toy/images", "--resume", path)
    assert done.returncode == 0, done.stderr
    assert_same(Run(path), Run(Path("whole")))


HOLD = """
import sys, time
from filelock import FileLock
lock = FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
time.sleep(600)
"""


def test_two_processes_in_one_run(toy: Any, zoo: Callable) -> None:
    run = cut()
    words = ("train", "toy/points", "--resume", run.path, "--model.ctrl_c_at_step", "2")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.path / ".lock")], stdout=subprocess.PIPE
    ) as held:
        assert held.stdout is not None
        assert held.stdout.readline() == b"held\n"
        done = zoo(*words)
        held.kill()  # no lock outlives its process
    assert done.status == 2
    assert f"another process is training in {run.path}" in done.err
    assert zoo(*words).status == 0
