"""A sweep whose trials are kept by a PostgreSQL server, shared by processes and killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cuts import in_a_process

import zoo
from zoo.errors import UsageError
from zoo.experiments.sweeps import sweeping
from zoo.experiments.sweeps.result import Sweep

pytestmark = pytest.mark.slow
SETTINGS = {
    "trainer.max_epochs": 2,
    "trainer.logger": False,
    "trainer.enable_progress_bar": False,
    "data.size": 24,
}
TRIALS = 6


def sweep(out: str, storage: str | None, **options: Any) -> Sweep:
    space = {"model.learning_rate": "log:1e-3:1", "model.activation": "choice:relu,tanh"}
    given = {"trials": TRIALS, "metric": "val/loss", "storage": storage, **options}
    return zoo.sweep("toy/points", space, SETTINGS, out=out, **given)


def _program(name: str) -> str:
    """Of a PostgreSQL that is installed, which Debian keeps off the path."""
    places = [shutil.which(name), *sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))]
    found = next((str(each) for each in places if each), None)
    if found is None:
        pytest.skip(f"there is no {name}: PostgreSQL is not installed")
    return found


@pytest.fixture
def server() -> Iterator[str]:
    """The address of an empty database of a server of its own, which needs no password."""
    initdb, postgres = _program("initdb"), _program("postgres")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    folder = tempfile.mkdtemp()
    other: dict[str, Any] = {}
    if os.getuid() == 0:  # as which it does not run
        shutil.chown(folder, "nobody")
        other = {"user": "nobody", "group": "nogroup", "extra_groups": []}
    options = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **other}
    data = f"{folder}/data"
    subprocess.run([initdb, "-D", data, "-A", "trust", "-U", "zoo", "-N"], check=True, **options)
    words = ["-D", data, "-k", folder, "-p", str(port), "-h", "127.0.0.1", "-F"]
    process = subprocess.Popen([postgres, *words], **options)
    address = f"postgresql://zoo@127.0.0.1:{port}/postgres"
    try:
        for _ in range(600):
            try:
                psycopg.connect(address).close()
                break
            except psycopg.OperationalError:
                time.sleep(0.1)
        yield address
    finally:
        process.send_signal(signal.SIGINT)  # which waits for no client
        process.wait()
        shutil.rmtree(folder)


def test_a_server_keeps_the_trials(
    toy: Any, server: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sweeping.files, "draw_plots", lambda *_: None)
    whole = sweep("whole", None)

    def work() -> None:
        original, count = sweeping.TrialReporter.on_validation_end, 0

        def call(*given: Any) -> None:
            nonlocal count
            count += 1
            if count == 8:
                os.kill(os.getpid(), signal.SIGKILL)
            original(*given)

        sweeping.TrialReporter.on_validation_end = call  # type: ignore[method-assign]
        sweep("cut", server, study="cut")

    assert in_a_process(work) == -signal.SIGKILL
    cut = sweep("cut", server, study="cut")
    assert [row["values"] for row in cut.trials] == [row["values"] for row in whole.trials]
    assert [row["value"] for row in cut.trials] == [row["value"] for row in whole.trials]

    capfd.readouterr()
    children = []
    for _ in range(3):
        children.append(os.fork())
        if not children[-1]:
            status = 1
            try:
                sweep("shared", server)
                status = 0
            finally:
                sys.stderr.flush()
                os._exit(status)
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    said = capfd.readouterr().err
    assert ended == [0, 0, 0], said
    begun = [line.split()[1] for line in said.splitlines() if f" of {TRIALS}: " in line]
    assert sorted(begun) == list("012345")

    with pytest.raises(UsageError, match=r"the study 'cut' in .* is another sweep's"):
        sweep("other", server, study="cut", pruner="none")
    with pytest.raises(UsageError, match=r"does not answer .*nosuch"):
        sweep("other", server.replace("/postgres", "/nosuch"))
    assert not Path("other").exists()
