"""`zoo runs`: what became of every run under a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_runs import fake_run

import zoo as package
from zoo.errors import UsageError
from zoo.runs.group import Group, create_group
from zoo.runs.listing import list_runs
from zoo.runs.record import read_record
from zoo.runs.run import Run, locked
from zoo.runs.state import is_held
from zoo.runs.target import mode_of, read_target
from zoo.training.refusals import refusals

LATER = "2026-02-02T10:00:00+00:00"
SEEDS = {f"seed-{seed}": {"seed": seed} for seed in (1, 2, 3)}


@pytest.fixture
def runs() -> Path:
    """A folder of runs of every state, at several depths, one of them damaged."""
    fake_run("runs/toy/points/first", {"test/accuracy": 0.85, "val/loss": 0.2})
    fake_run("runs/toy/points/second", {"test/accuracy": 0.96, "val/loss": 0.4}, started=LATER)
    fake_run("runs/other/deep/er/cut", finished=False, recipe="toy/images")
    fake_run("runs/other/bad", finished=False, recipe="toy/images", failed="the loss is NaN")
    fake_run("runs/fast", recipe="toy/images", changes={"trainer.limit_train_batches": 2})
    fake_run("runs/torn")
    Path("runs/torn/metrics.json").write_text("{", encoding="utf-8")
    Path("runs/notes").mkdir()
    Path("runs/notes/readme.txt").write_text("mine", encoding="utf-8")
    Path("runs/.hidden").mkdir()
    create_group(Group(Path("runs/toy/points/group"), "seeds", "toy/points", SEEDS))
    fake_run("runs/toy/points/group/seed-1", {"test/accuracy": 0.90, "val/loss": 0.3})
    fake_run("runs/toy/points/group/seed-2", {"test/accuracy": 0.94, "val/loss": 0.1}, seed=2)
    return Path("runs")


def test_states(runs: Path) -> None:
    states = {str(run.path.relative_to(runs)): run.state for run in list_runs()}
    assert states == {
        "toy/points/first": "finished",
        "toy/points/second": "finished",
        "toy/points/group/seed-1": "finished",
        "toy/points/group/seed-2": "finished",
        "toy/points/group/seed-3": "waiting",
        "other/deep/er/cut": "interrupted",
        "other/bad": "failed",
        "fast": "fast",
        "torn": "damaged",
    }
    problems = {run.path.name: run.problem for run in list_runs() if run.problem}
    assert problems == {"bad": "the loss is NaN", "torn": "metrics.json is damaged"}


def test_metrics_against_the_target(runs: Path) -> None:
    met = {run.path.name: (run.value, run.met) for run in package.list_runs(runs)}
    assert met["first"] == (0.85, False)
    assert met["second"] == (0.96, True)
    assert met["fast"] == (0.95, None)  # of a part of the data
    assert met["cut"] == (None, None)


def test_a_run_that_a_process_holds_is_running(runs: Path) -> None:
    run = Run(runs / "other/deep/er/cut")
    assert not is_held(run)
    with locked(run):
        assert is_held(run)
        assert [each.path for each in list_runs(state="running")] == [run.path]
    assert not is_held(run)
    assert read_record(run.path).state == "interrupted"


def test_as_json(runs: Path, zoo: Callable) -> None:
    done = zoo("runs", "--json")
    assert done.status == 0
    rows = {row["run"]: row for row in json.loads(done.out)}
    assert len(rows) == 9
    row = rows["runs/toy/points/group/seed-2"]
    assert row["group"] == "runs/toy/points/group"
    assert (row["seed"], row["seconds"], row["device"]) == (2, 12.5, "cpu")
    assert row["target"] == {"metric": "test/accuracy", "value": 0.9}
    assert row["metrics"] == {"test/accuracy": 0.94, "val/loss": 0.1}


def test_a_group_is_one_line(runs: Path, zoo: Callable) -> None:
    lines = zoo("runs").out.splitlines()
    assert [line for line in lines if "seed-" in line] == []
    (line,) = [line for line in lines if "points/group" in line]
    assert "2/3 seeds" in line
    assert "0.92 " in line
    assert "mean 2/2 met" in line
    assert line.endswith("1 waiting")
    listed = zoo("runs", "--members").out
    assert all(name in listed for name in SEEDS)
    assert len(zoo("runs", "runs/toy/points/group").out.splitlines()) == 2
    assert len(json.loads(zoo("runs", "runs/toy/points/group", "--json").out)) == 3


@pytest.mark.parametrize(
    "words", [[], ["--members"], ["--sort", "val/loss"], ["--state", "failed"]]
)
def test_a_terminal_of_80_columns_is_enough(
    runs: Path, zoo: Callable, monkeypatch: Any, words: list[str]
) -> None:
    long = "a reason that takes more than a line of a terminal to tell, " * 3
    fake_run(runs / "toy/points" / ("a-name-of-a-folder-" * 4), finished=False, failed=long)
    for place in ("output", "runs"):
        monkeypatch.setattr(f"zoo.cli.{place}.terminal_width", lambda: 80)
    lines = zoo("runs", *words).out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("    a reason that") for line in lines)
    if not words:
        assert "toy/points  test/accuracy >= 0.9" in lines
        assert any(line.startswith("  group") and "2/3 seeds" in line for line in lines)


def test_filters_and_order(runs: Path, zoo: Callable) -> None:
    def names(*words: str) -> list[str]:
        return [Path(row["run"]).name for row in json.loads(zoo("runs", "--json", *words).out)]

    assert names("--recipe", "*/images") == ["fast", "bad", "cut"]
    assert names("--state", "failed") == ["bad"]
    assert names("--sort", "val/loss")[:3] == ["seed-2", "first", "seed-1"]  # the least first
    assert names("--sort", "test/accuracy")[:2] == ["second", "fast"]  # the most first
    assert names("--sort", "when")[0] == "second"
    assert zoo("runs", "--recipe", "none/*").out == "none of the 9 runs in runs fits\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--state", "finishd"], "'finishd' is not a state of a run: did you mean 'finished'?"),
        (["--sort", "val/los"], "no run here has the metric 'val/los': did you mean 'val/loss'?"),
        (["absent"], "'absent' is not a folder"),
        (["runs/notes/readme.txt"], "is not a folder"),
        ([""], "'' is not a folder"),
    ],
)
def test_wrong_calls(runs: Path, zoo: Callable, words: list[str], says: str) -> None:
    done = zoo("runs", *words)
    assert (done.status, done.out) == (2, "")
    assert says in done.err


def test_nothing_to_list(zoo: Callable) -> None:
    assert zoo("runs").out.startswith("no runs in runs: `zoo train RECIPE` makes one")
    assert zoo("runs", "--json").out == "[]\n"
    Path("empty").mkdir()
    assert zoo("runs", "empty").status == 0


def damage(path: Path, name: str, text: str | None) -> None:
    if text is None:
        (path / name).unlink()
    else:
        (path / name).write_text(text)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("recipe.yaml", "model: {name: [", "recipe.yaml is damaged: line 2: while parsing"),
        ("recipe.yaml", "- a\n- b\n", "recipe.yaml is damaged: it is not a mapping"),
        ("recipe.yaml", "model: {name: x}\n", "recipe.yaml is damaged: 'model' or 'data' is"),
        ("recipe.yaml", "about: {}\nabout: {}\nmodel: {}\ndata: {}\n", "'about' stands twice"),
        ("recipe.yaml", None, "recipe.yaml is missing"),
        ("environment.json", "[1]", "environment.json is damaged"),
        ("environment.json", None, "environment.json is missing"),
        ("metrics.json", "{", "metrics.json is damaged"),
        ("metrics.json", '{"a": "high"}', "metrics.json holds values that are not numbers"),
        ("metrics.json", None, "metrics.json is missing"),
    ],
)
def test_a_damaged_run_is_listed_with_the_reason(
    zoo: Callable, name: str, text: str | None, says: str
) -> None:
    damage(fake_run("runs/one"), name, text)
    fake_run("runs/two")
    (Path("runs/one/checkpoints")).mkdir()
    done = zoo("runs")
    assert done.status == 0
    states = {run.path.name: (run.state, run.problem) for run in list_runs()}
    assert states["two"] == ("finished", "")
    assert states["one"][0] == "damaged"
    assert says in states["one"][1]
    assert says in done.out


def test_info_of_a_group(runs: Path, zoo: Callable) -> None:
    done = zoo("info", "runs/toy/points/group", "--json")
    assert done.status == 0
    assert json.loads(done.out) == [
        {
            "kind": "group",
            "name": "runs/toy/points/group",
            "of": "seeds",
            "recipe": "toy/points",
            "runs": {"finished": 2, "waiting": 1},
            "summary": [],
            "more": "zoo runs runs/toy/points/group",
        }
    ]


def test_a_damaged_group_and_links_that_lead_back(runs: Path) -> None:
    (runs / "toy/points/group/group.json").write_text("{")
    os.symlink("..", runs / "toy/back")
    found = list_runs()
    assert len(found) == 9  # its third seed is not known any more, the group is listed
    (group,) = [run for run in found if run.path.name == "group"]
    assert group.state == "damaged"
    assert "group.json cannot be read" in group.problem
    assert {run.group for run in found} == {None}


def test_a_recipe_in_another_form_is_read(runs: Path) -> None:
    text = "{about: {target: {metric: a, value: 1, mode: min}}, model: {name: x}, data: {name: y}}"
    (runs / "fast" / "recipe.yaml").write_text(text)
    record = read_record(runs / "fast")
    assert record.state == "finished"
    assert record.target is not None
    assert record.target.mode == "min"


@pytest.mark.parametrize(
    ("metric", "mode"),
    [
        ("test/accuracy", "max"),
        ("test/return", "max"),
        ("val/loss", "min"),
        ("test/pixel_error", "min"),
        ("test/wer", "min"),
        ("test/power", "max"),
        ("val_loss", "min"),
    ],
)
def test_which_way_is_better(metric: str, mode: str) -> None:
    assert mode_of(metric) == mode


@pytest.mark.parametrize("target", [None, 3, {}, {"metric": "a"}, {"metric": "a", "value": "x"}])
def test_a_target_of_another_form_is_none(target: Any) -> None:
    assert read_target({"target": target}) is None
    found = read_target({"target": {"metric": "test/error", "value": 0.1}})
    assert found is not None
    assert found.met(0.1)
    assert not found.met(0.2)
    assert not found.met(float("nan"))


def test_no_state_of_that_name() -> None:
    with pytest.raises(UsageError, match="the states are running, finished"):
        list_runs(state="zzz")


def test_a_failed_training_notes_why(toy: Any, zoo: Callable) -> None:
    """Until it is continued."""
    words = ["--out", "cut", "--trainer.logger", "false"]
    failed = zoo("train", "toy/points", "--model.learning_rate", "1e30", *words)
    assert failed.status == 1, failed.err
    (run,) = list_runs("cut")
    assert run.state == "failed"
    assert "not finite" in run.problem or "NaN" in run.problem, run.problem
    assert run.problem in failed.err.replace("\n", " ")
    with refusals(Run(Path("cut")), Any, Any, resumed=True, planned=False):
        assert "failed" not in Run(Path("cut")).environment
