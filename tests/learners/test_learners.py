"""Five kinds of learner, none of them a classifier: what holds for every one of them."""

from __future__ import annotations

import ast
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from cuts import in_a_process
from lightning.pytorch import Callback

import zoo as library
from zoo.errors import UsageError
from zoo.runs.run import Run
from zoo.testing import check_plugin

HERE = Path(__file__).parent
LINES = 60
LEARNERS = sorted(path.stem for path in HERE.glob("zoo_learners/recipes/*.yaml"))
QUIET = {
    "trainer.accelerator": "cpu",
    "trainer.logger": False,
    "trainer.enable_progress_bar": False,
}


def train(name: str, **options: Any) -> Run:
    return library.train(f"learners/{name}", QUIET, **options)


class Killed(Callback):
    """SIGKILL after a training batch."""

    def __init__(self, batch: int) -> None:
        self.left = batch

    def on_train_batch_end(self, *args: Any) -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(autouse=True)
def learners(distributions: Any) -> None:
    distributions.patch.syspath_prepend(str(HERE))  # undone before what made the distributions
    distributions.add("learners", value="zoo_learners.plugin")


def train_and_be_killed(name: str, batch: int) -> None:
    """Train in a process of its own, which dies after a batch of the second half of training."""
    child = os.fork()
    if not child:
        import zoo.training.train as training

        make = training.ResumableTrainer
        training.ResumableTrainer = (
            lambda *args, **options: make(  # type: ignore[assignment, misc]
                *args[:4], [*args[4], Killed(batch)]
            )
        )
        try:
            train(name, out="cut")
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_learns_resumes_is_measured_and_predicts(name: str, zoo: Any) -> None:
    whole = train(name, out="whole")
    target = whole.recipe.about["target"]
    assert whole.metrics[target["metric"]] < target["value"]

    rows = whole.metrics_csv.read_text().splitlines()
    batches = int(dict(zip(rows[0].split(","), rows[-1].split(","), strict=True))["step"])
    train_and_be_killed(name, max(2, batches * 2 // 3))
    run = train(name, out="cut", resume="cut")
    mine, wanted = (library.load(each.bundle).state_dict() for each in (run, whole))
    assert all(torch.equal(mine[key], wanted[key]) for key in wanted)
    assert run.metrics == whole.metrics  # the counts among them

    again = library.evaluate("whole")
    assert again == {key: whole.metrics[key] for key in again}
    options = ["--episodes", 2] if name == "world-model" else ["--count", 3]
    calls = [zoo("predict", "whole", *options, "--seed", 3, "--json") for _ in range(2)]
    assert calls[0].status == 0, calls[0].err
    assert calls[0].out == calls[1].out
    assert len(json.loads(calls[0].out)) == options[1]


def test_the_counts_and_the_reason_of_the_end_are_told(capfd: pytest.CaptureFixture[str]) -> None:
    run = train("snes", out="run")
    assert run.metrics["evaluations"] == 900
    solved = train("adder", out="solved")
    assert solved.metrics["sequences"] < 40 * 2000
    assert "solved, train/right" in capfd.readouterr().err


@pytest.mark.slow
def test_the_kit_passes_without_an_exemption() -> None:
    """In a process of its own: after it none can be forked that trains."""

    def check() -> None:
        results = list(check_plugin("learners"))
        fallen = [each for each in results if each.outcome not in ("passed", "skipped")]
        print(*fallen, sep="\n")
        assert not fallen

    assert in_a_process(check) == 0


@pytest.mark.parametrize("path", sorted(HERE.glob("zoo_learners/*.py")), ids=lambda path: path.stem)
def test_a_learner_is_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    prose: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            prose |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(text.splitlines(), 1)
    assert len([n for n, line in lines if line.split("#")[0].strip() and n not in prose]) < LINES


@pytest.mark.parametrize("name", ["snes", "echo-state"])
def test_a_learner_without_gradients_is_not_shared_by_processes(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no gradient changes a parameter .* --trainer.devices 1"):
        library.train(f"learners/{name}", {**QUIET, "trainer.devices": 2}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
