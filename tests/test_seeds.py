"""`zoo train RECIPE --seeds`: a run a seed, one summary, and nothing averaged away."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_runs import fake_run
from filelock import FileLock

import zoo as package
from zoo.errors import UsageError
from zoo.experiments import seeds
from zoo.experiments.processes import ExperimentInterrupted, Outcome
from zoo.experiments.seeds import train_seeds
from zoo.recipes.recipe import Recipe
from zoo.runs.group import Group, create_group, open_group
from zoo.runs.seed_list import check_seeds, read_seeds, seeds_text

QUICK = {"trainer.logger": "false", "trainer.max_epochs": "1"}
WORDS = [f"--{key}={value}" for key, value in QUICK.items()]


@pytest.fixture
def here(toy: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Lets seeds be trained in no time. ``fail`` names members that fail; ``calls`` are the words
    that the others were called with; ``stop`` is a Ctrl-C after the first."""
    state: dict[str, Any] = {"fail": [], "calls": [], "stop": False}

    def run(
        group: Group, jobs: int, command_of: Callable[[str], Sequence[str]], continued_by: str
    ) -> list[Outcome]:
        found = []
        for name in [name for name, run in group.runs.items() if not run.finished]:
            if name in state["fail"]:
                found.append(Outcome(name, 1, "the disk is full"))
                continue
            state["calls"].append(list(command_of(name)))
            fake_run(group.path / name, seed=group.members[name]["seed"])
            found.append(Outcome(name, 0, ""))
            if state["stop"]:
                raise ExperimentInterrupted(130, continued_by)
        return found

    monkeypatch.setattr(seeds, "run_members", run)
    return state


@pytest.mark.slow
def test_each_seed_is_the_run_of_its_own(toy: Any, zoo: Callable, monkeypatch: Any) -> None:
    """In processes of their own, to the last bit."""
    monkeypatch.setenv("PYTHONPATH", toy.python_path)
    done = zoo("train", "toy/points", "--seeds", "2,4", "--jobs", "2", "--out", "all", *WORDS)
    assert done.status == 0, done.err
    assert "toy/points: 2 of 2 seeds, in all" in done.out
    assert "seed-4  epoch 1/1" in done.err
    alone = package.train("toy/points", {**QUICK, "seed": 4}, out="alone")
    member = open_group("all").runs["seed-4"]
    for name in ("bundle/model.safetensors", "recipe.yaml", "metrics.json"):
        assert (member.path / name).read_bytes() == (alone.path / name).read_bytes(), name
    summary = json.loads(Path("all/summary.json").read_text(encoding="utf-8"))
    assert summary["rows"][0]["seeds"] == [2, 4]
    assert {path.name for path in Path("all").iterdir()} - {".lock"} == {
        *("group.json", "seed-2", "seed-4", "summary.json", "summary.csv", "plots", "report.html"),
    }


def test_a_failed_seed_is_reported_and_trained_again(here: dict, zoo: Callable) -> None:
    here["fail"] = ["seed-2"]
    done = zoo("train", "toy/points", "--seeds", "1-3", "--out", "all", *WORDS)
    assert done.status == 1
    assert "2 of 3 seeds" in done.out
    assert "- seed-2 failed and is not in the mean: the disk is full" in done.out
    assert "zoo train toy/points --resume all" in done.out
    assert json.loads(Path("all/summary.json").read_text(encoding="utf-8"))["rows"][0]["seeds"] == [
        1,
        3,
    ]
    here["fail"], here["calls"] = [], []
    again = zoo("train", "toy/points", "--resume", "all", "--json")
    assert again.status == 0, again.err
    assert [words[words.index("--seed") + 1] for words in here["calls"]] == ["2"]
    assert [word for word in WORDS if word in here["calls"][0]] == WORDS
    summary = json.loads(again.out)
    assert (summary["group"], summary["failed"]) == ("all", {})
    assert summary["rows"][0]["seeds"] == [1, 2, 3]
    more = train_seeds("toy/points", [9], resume="all")
    assert list(more.group.members) == ["seed-1", "seed-2", "seed-3", "seed-9"]
    assert more.comparison is not None
    assert more.comparison.rows[0].seeds == (1, 2, 3, 9)


def test_all_failed(here: dict, zoo: Callable) -> None:
    here["fail"] = ["seed-1"]
    done = zoo("train", "toy/points", "--seeds", "1", "--out", "all", *WORDS)
    assert done.status == 1
    assert "0 of 1 seeds" in done.out
    assert "- seed-1 failed: the disk is full" in done.out
    assert not Path("all/summary.json").exists()


def test_stopped_and_continued_by_auto(here: dict, zoo: Callable) -> None:
    here["stop"] = True
    stopped = zoo("train", "toy/points", "--seeds", "1-2", *WORDS)
    assert stopped.status == 130
    (path,) = Path("runs/toy/points").iterdir()
    command = f"zoo train toy/points --resume {path}"
    assert stopped.err.splitlines()[-1] == (
        f"zoo: stopped; continue the unfinished runs with `{command}`"
    )
    here["stop"] = False
    done = train_seeds("toy/points", "1-2", QUICK, resume="auto")
    assert done.group.path == path
    assert done.group.finished
    assert train_seeds("toy/points", resume=path).failed == {}  # there is nothing left to do


def test_a_refused_call_leaves_nothing(here: dict, monkeypatch: Any) -> None:
    def refuse(*_: Any) -> list[Outcome]:
        raise UsageError("no such argument")

    monkeypatch.setattr(seeds, "run_members", refuse)
    for out in (None, "all", "new/all"):
        with pytest.raises(UsageError, match="no such argument"):
            train_seeds("toy/points", "1-2", {"model.x": 1}, out=out)
    assert [path.name for path in Path().iterdir()] == ["new"]


WRONG = {
    "words": (["--seeds", "x"], "'x' is not a seed or a range of them, as in 1-5 or 1,3,7"),
    "empty": (["--seeds", ""], "'' is not a seed"),
    "hole": (["--seeds", "1,,3"], "'' is not a seed"),
    "negative": (["--seeds=-1"], "'-1' is not a seed"),
    "backwards": (["--seeds", "5-1"], "the range 5-1 ends before it begins"),
    "twice": (["--seeds", "1-3,2"], "the seeds name 2 twice"),
    "many": (["--seeds", "1-99999999999"], "are more than 10000 seeds"),
    "large": (["--seeds", "4294967296"], "a whole number from 0 to 4294967295"),
    "both": (["--seeds", "1-2", "--seed", "1"], "--seed is of one run and --seeds of several"),
    "no-jobs": (["--seeds", "1-2", "--jobs", "0"], "has to be 1 or more, not 0"),
    "jobs-alone": (["--jobs", "2"], "it needs --seeds"),
    "jobs-word": (["--seeds", "1-2", "--jobs", "x"], "invalid int value"),
    "config": (["--seeds", "1-2", "--print-config"], "omit --seeds"),
    "dev": (["--seeds", "1", "--trainer.fast_dev_run", "true"], "keeps nothing of a run"),
    "model": (["--seeds", "1", "--model", "toy-nett"], "did you mean 'toy-net'"),
    "name": (["--seeds", "1", "--out", ""], "the name of the folder is empty"),
    "no-group": (["--seeds", "1", "--resume", "absent"], "absent is not a group of runs"),
    "out": (["--seeds", "1", "--resume", "a", "--out", "b"], "omit --out"),
}


@pytest.mark.parametrize(("words", "says"), WRONG.values(), ids=WRONG)
def test_wrong_calls(toy: Any, zoo: Callable, words: list[str], says: str) -> None:
    done = zoo("train", "toy/points", *words)
    assert (done.status, done.out) == (2, "")
    assert says in done.err
    assert list(Path().iterdir()) == []


def test_a_group_is_continued_as_it_began(here: dict, zoo: Callable, tmp_path: Path) -> None:
    train_seeds("toy/points", "1", QUICK, out="all")
    create_group(Group(Path("folds"), "crossval", "toy/points", {}))
    create_group(Group(Path("made"), "seeds", "toy/points", {}))
    mine = tmp_path / "points.yaml"
    mine.write_text("model: {name: toy-net}\ndata: {name: toy-points}\n")
    for words, says in (
        (["toy/images", "--resume", "all"], "all is of the recipe toy/points, not toy/images"),
        (["toy/points", "--resume", "all", "--model.hidden", "3"], "'model.hidden' was 'not give"),
        (["toy/points", "--resume", "all", "--trainer.max_epochs", "3"], "was '1', not '3'"),
        (["toy/points", "--resume", "folds"], "folds is not a group of seeds but of kind 'crossv"),
        (["toy/points", "--resume", "made"], "made/group.json is damaged: its settings"),
        (["toy/points", "--seeds", "2", "--out", "all"], "exists and is not empty"),
        (["toy/points", "--resume", "all", "--seed", "2"], "--seed is of one run"),
    ):
        done = zoo("train", *words)
        assert (done.status, done.out) == (2, ""), words
        assert says in done.err
    train_seeds(mine, "1", QUICK, out="mine")
    mine.write_text("model: {name: toy-net, hidden: 3}\ndata: {name: toy-points}\n")
    with pytest.raises(UsageError, match=r"'model\.hidden' was None, not 3"):
        train_seeds(mine, "1-2", resume="mine")


def test_one_process_at_a_time_works_on_a_group(here: dict) -> None:
    train_seeds("toy/points", "1", QUICK, out="all")
    with (
        FileLock("all/.lock"),
        pytest.raises(UsageError, match="another process is training the seeds in all"),
    ):
        train_seeds("toy/points", "1-2", resume="all")
    assert list(open_group("all").members) == ["seed-1"]


def test_values_from_python_are_typed_as_they_are(here: dict) -> None:
    changes = {**QUICK, "model.learning_rate": 1e-5, "trainer.callbacks": []}
    train_seeds("toy/points", [3], changes, out="all", trust=True)
    place = ["--seed", "3", "--out", "all/seed-3", "--resume", "auto", "--json"]
    changed = ["--model.learning_rate=1e-05", "--trainer.callbacks=[]"]
    assert here["calls"] == [["train", "toy/points", "--trust", *WORDS, *changed, *place]]
    with pytest.raises(UsageError, match="'seed' is given twice"):
        train_seeds("toy/points", [3], {"seed": 1})
    with pytest.raises(UsageError, match="no seeds are given"):
        train_seeds("toy/points")


def test_not_by_several_processes(here: dict, monkeypatch: Any) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="call it without torchrun"):
        train_seeds("toy/points", "1-2")


def test_seeds_as_text() -> None:
    assert read_seeds("1-3, 7,10-11") == [1, 2, 3, 7, 10, 11]
    assert seeds_text([11, 10, 7, 3, 2, 1]) == "1-3, 7, 10-11"
    assert seeds_text([]) == ""
    for wrong in ([], [True], [1.5], [-1]):
        with pytest.raises(UsageError):
            check_seeds(wrong)  # type: ignore[arg-type]


def test_fine_tuning_a_seed_at_a_time(here: dict, zoo: Callable, monkeypatch: Any) -> None:
    def recipe(reference: str, data: str | None, freeze: str, *_: Any) -> Recipe:
        start = {"reference": reference, "freeze": freeze}
        return Recipe("finetune/x-toy-points", "toy-net", data or "toy-points", init_from=start)

    monkeypatch.setattr("zoo.training.finetune.finetuning_recipe", recipe)
    words = ["--data", "toy-points", "--freeze", "backbone", "--unfreeze-at-epoch", "1", *WORDS]
    here["fail"] = ["seed-2"]
    done = zoo("finetune", "toy-trained", *words, "--seeds", "1-2", "--out", "all")
    assert done.status == 1, done.err
    start = ["finetune", "toy-trained", "--freeze", "backbone", "--data", "toy-points"]
    start += ["--unfreeze-at-epoch", "1"]
    place = ["--seed", "1", "--out", "all/seed-1", "--resume", "auto", "--json"]
    assert here["calls"] == [[*start, *WORDS, *place]]
    assert f"  zoo {' '.join(start)} --resume all\n" in done.out
    here["fail"] = []
    assert zoo(*start, "--resume", "all").status == 0
    other = zoo("finetune", "toy-trained", "--resume", "all")
    assert other.status == 2
    assert "'init_from.freeze' was 'backbone', not 'none'" in other.err
