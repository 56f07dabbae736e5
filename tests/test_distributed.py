"""Two processes on the CPU train what one process with the same global batch trains."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from zoo.runs.run import Run

pytestmark = pytest.mark.slow

COMMAND = ["train", "toy/images"]
SETTINGS = [
    *("--data.size", "400", "--trainer.limit_train_batches", "12"),
    *("--trainer.max_epochs", "2", "--trainer.accelerator", "cpu", "--trainer.logger", "false"),
    # nothing random but the order, and no means over the batch: each process has its own
    *("--model.dropout", "0", "--model.batch_norm", "false"),
]
ALONE = ["--data.batch_size", "32"]
HALVES = ["--data.batch_size", "16"]
TWO = ["--trainer.devices", "2", "--trainer.strategy", "ddp"]


@pytest.fixture(scope="module", autouse=True)
def _toy(with_toy: Callable) -> Iterator[None]:
    with with_toy():
        yield


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start(*words: Any, out: Path, module: tuple[str, ...] = ("-m", "zoo")) -> subprocess.Popen:
    """A command in a process group of its own, with the output in a file beside its run."""
    environment = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "OMP_NUM_THREADS": "1",
    }
    log = out.with_suffix(".log").open("w")
    return subprocess.Popen(
        [sys.executable, *module, *COMMAND, *map(str, words)],
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def finish(process: subprocess.Popen, out: Path, seconds: float = 240) -> int:
    """Its exit status; the whole group is gone afterwards."""
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        print(out.with_suffix(".log").read_text()[-5000:])
    return process.wait()


def run(*words: Any, out: Path, **options: Any) -> Run:
    process = start(*SETTINGS, *words, "--out", out, out=out, **options)
    assert finish(process, out) == 0
    return Run(out)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("distributed")


@pytest.fixture(scope="module")
def alone(folder: Path) -> Run:
    return run(*ALONE, out=folder / "alone")


@pytest.fixture(scope="module")
def together(folder: Path) -> Run:
    return run(*HALVES, *TWO, out=folder / "together")


def assert_alike(found: Run, wanted: Run) -> None:
    assert found.finished
    assert found.metrics.keys() == wanted.metrics.keys()
    for name, value in wanted.metrics.items():
        assert found.metrics[name] == pytest.approx(value, rel=1e-3, abs=1e-4), name
    mine, other = (load_file(each.bundle / "model.safetensors") for each in (found, wanted))
    for name, tensor in other.items():
        assert torch.allclose(mine[name], tensor, rtol=1e-3, atol=1e-4), name


def test_lightning_starts_the_second(alone: Run, together: Run) -> None:
    assert_alike(together, alone)


def test_one_folder_with_everything_once(alone: Run, together: Run) -> None:
    names = [
        {str(path.relative_to(each.path)) for path in each.path.rglob("*")}
        for each in (together, alone)
    ]
    assert names[0] == names[1]
    rows = [each.metrics_csv.read_text().splitlines() for each in (together, alone)]
    assert len(rows[0]) == len(rows[1])
    assert rows[0][0] == rows[1][0]
    told = together.path.with_suffix(".log").read_text()
    assert told.count("Next:") == 1
    assert told.count("epoch 2/2") == 1


def test_torchrun(alone: Run, folder: Path) -> None:
    ports = ("--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{free_port()}")
    torchrun = ("-m", "torch.distributed.run", "--nproc-per-node", "2", *ports, "-m", "zoo")
    found = run(*HALVES, out=folder / "torchrun", module=torchrun)
    assert_alike(found, alone)
    assert found.path.with_suffix(".log").read_text().count("Next:") == 1


@pytest.mark.parametrize("callers", [False, True], ids=["its own group", "the caller's group"])
def test_connections_that_training_opened_are_closed(folder: Path, callers: bool) -> None:
    """A process that exits with one open can abort, and torchrun then stops the others. In a
    process of its own, as Lightning writes into the environment of the one that trains."""
    out = folder / f"ddp-{callers}"
    code = f"""
import torch, zoo
if {callers}:
    store = "file://{folder / "store"}"
    torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
settings = {{"devices": 1, "strategy": "ddp", "accelerator": "cpu", "limit_train_batches": 2}}
settings |= {{"max_epochs": 1, "enable_progress_bar": False, "logger": False}}
changes = {{f"trainer.{{name}}": value for name, value in settings.items()}}
assert zoo.train("toy/images", changes, out={str(out)!r}).finished
assert torch.distributed.is_initialized() == {callers}
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_killed_and_resumed_by_one(folder: Path) -> None:
    """Both processes of a run are killed after its first checkpoint, and one goes on."""
    out = folder / "killed"
    process = start(*SETTINGS, *HALVES, *TWO, "--out", out, out=out)
    try:
        until = time.monotonic() + 200
        while not Run(out).checkpoint.is_file():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    finally:
        finish(process, out)
    alone = ["--trainer.devices", "1", "--trainer.strategy", "auto"]
    process = start("--resume", out, *alone, out=out)
    assert finish(process, out) == 0
    again = Run(out)
    assert again.finished
    assert again.environment["epochs"] == 2
    steps = [line.split(",")[:2] for line in again.metrics_csv.read_text().splitlines()[1:]]
    assert len(steps) == len({tuple(step) for step in steps})


def test_a_stop_of_both(folder: Path) -> None:
    out = folder / "stopped"
    words = [*SETTINGS, "--trainer.max_epochs", "100000", *HALVES, *TWO]
    process = start(*words, "--out", out, out=out)
    try:
        until = time.monotonic() + 200
        while not Run(out).checkpoint.is_file():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        status = process.wait(120)
    finally:
        finish(process, out, seconds=0)
    assert status == 143
    content = torch.load(Run(out).checkpoint, weights_only=True)
    assert content["global_step"] > 0
    assert json.loads((out / "metrics.json").read_text())["train/loss"] > 0
