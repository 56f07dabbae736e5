"""What two processes count: they end together, say why once, and continue to the very count."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zoo.runs.run import Run

RECIPE = """
seed: 1
model: {name: counted-net, rank_ahead: 1}
data: {name: sums, length: 400}
budget: {sequences: 141}
trainer: {accelerator: cpu, devices: 2, logger: false, enable_progress_bar: false}
"""


@pytest.fixture
def train(distributions: Any) -> Callable[..., str]:
    """``zoo train``, and what it tells."""
    distributions.add("counting", value="counting_plugin")
    helpers = str(Path(__file__).parent / "helpers")
    path = os.pathsep.join([helpers, distributions.python_path])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}

    def call(*words: str) -> str:
        command = [sys.executable, "-m", "zoo", "train", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stderr

    Path("r.yaml").write_text(RECIPE, encoding="utf-8")
    return call


def assert_ended_at_the_budget(told: str) -> None:
    assert told.count("training ends") == 1  # by the second process, which counts one more
    assert "141 sequences are counted, and the budget is 141" in told
    assert Run(Path("run")).metrics["sequences"] == 140


@pytest.mark.slow
def test_two_processes_end_and_continue_at_one_count(train: Callable[..., str]) -> None:
    assert_ended_at_the_budget(train("r.yaml", "--trainer.strategy", "ddp", "--out", "run"))
    run = Run(Path("run"))
    noted = run.environment
    del noted["finished"]
    run.write_json("environment.json", noted)
    told = train("run/recipe.yaml", "--resume", "run", "--budget", "sequences=221")
    assert told.count("training ends") == 1
    assert json.loads(Path("run/metrics.json").read_text(encoding="utf-8"))["sequences"] == 220


@pytest.mark.slow
def test_processes_that_the_strategy_starts_itself(train: Callable[..., str]) -> None:
    """A subprocess, as the spawned ones import what started them. What they leave is that of
    others: counts, rows, plots; and they are as quiet."""
    told = train("r.yaml", "--trainer.strategy", "ddp_spawn", "--out", "run")
    assert_ended_at_the_budget(told)
    for noise in ("Initializing distributed", "LeafSpec", "under the names of the training"):
        assert noise not in told
    run = Run(Path("run"))
    assert run.finished
    rows = run.metrics_csv.read_text(encoding="utf-8").splitlines()
    assert len(rows) == 2 + run.environment["epochs"]  # a head, the epochs, the test
    assert (run.plots / "curves.png").is_file()
