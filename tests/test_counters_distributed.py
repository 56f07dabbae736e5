"""What two processes count: they end together, say why once, and continue to the very count."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn"])
def test_two_processes_end_at_one_count(distributions: Any, strategy: str) -> None:
    distributions.add("counting", value="counting_plugin")
    helpers = str(Path(__file__).parent / "helpers")
    path = os.pathsep.join([helpers, distributions.python_path])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}

    def train(*words: str) -> str:
        command = [sys.executable, "-m", "zoo", "train", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stderr

    Path("r.yaml").write_text(RECIPE, encoding="utf-8")
    told = train("r.yaml", "--trainer.strategy", strategy, "--out", "run")
    assert told.count("training ends") == 1  # by the second process, which counts one more
    assert "141 sequences are counted, and the budget is 141" in told
    run = Run(Path("run"))
    assert run.metrics["sequences"] == 140

    noted = run.environment
    del noted["finished"]
    run.write_json("environment.json", noted)
    told = train("run/recipe.yaml", "--resume", "run", "--budget", "sequences=221")
    assert told.count("training ends") == 1
    assert json.loads(Path("run/metrics.json").read_text(encoding="utf-8"))["sequences"] == 220
