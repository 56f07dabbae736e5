"""Sweeps: their trials, what they leave, what they withstand, and what is refused."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cuts import calls_of, die_at_call, in_a_process
from lightning.pytorch import LightningModule

import zoo
from zoo.errors import MissingDependencyError, UsageError, ZooError
from zoo.experiments.sweeps import storage as storages
from zoo.experiments.sweeps import sweeping
from zoo.experiments.sweeps.metric import find_direction, find_metric
from zoo.experiments.sweeps.result import Sweep
from zoo.recipes.recipe import Recipe, make_recipe
from zoo.runs.group import open_group

DRAW = sweeping.files.draw_plots
SPACE = {"model.learning_rate": "log:1e-3:1", "model.activation": "choice:relu,tanh"}
SETTINGS = {
    "trainer.max_epochs": 3,
    "trainer.logger": False,
    "trainer.enable_progress_bar": False,
    "data.size": 24,
}


def sweep(out: str | Path | None = "sweep", **options: Any) -> Sweep:
    given = {"space": SPACE, "overrides": SETTINGS, "trials": 4, "metric": "val/loss", **options}
    return zoo.sweep(given.pop("recipe", "toy/points"), out=out, **given)


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots take longer than all else here; one test draws them."""
    monkeypatch.setattr(sweeping.files, "draw_plots", lambda *_: None)


def table(out: str) -> str:
    return (Path(out) / "summary.csv").read_text(encoding="utf-8")


def logged(out: str) -> list[str]:
    return [path.read_text() for path in sorted(Path(out).glob("trial-*/metrics.csv"))]


def test_what_it_leaves(toy: Any, zoo: Callable) -> None:
    words = [f"--{key}={value}" for key, value in {**SETTINGS, **SPACE}.items()]
    command = ["sweep", "toy/points", *words, "--metric", "val/loss", "--trials", "3"]
    done = zoo(*command, "--out", "all", "--json")
    assert done.status == 0, done.err
    (found,) = json.loads(done.out)
    assert found["direction"] == "minimize"
    rows = list(csv.DictReader(table("all").splitlines()))
    assert [row["trial"] for row in rows] == ["0", "1", "2"]
    assert {row["state"] for row in rows} == {"complete"}
    values = [float(row["value"]) for row in rows]
    assert found["best"]["trial"] == values.index(min(values))
    group = open_group("all")
    assert (group.kind, group.finished) == ("sweep", True)
    assert [float(row["model.learning_rate"]) for row in rows] == [
        each["model.learning_rate"] for each in group.members.values()
    ]
    run = group.runs["trial-0000"]
    assert run.metrics["val/loss"] == values[0]
    assert run.environment["untested"] == "a trial of a sweep"
    assert not run.bundle.exists()
    assert "is a trial of a sweep: train what it found" in zoo("test", run.path).err

    best = zoo("train", "all/best.yaml", "--print-config")
    assert f"learning_rate: {found['best']['values']['model.learning_rate']}" in best.out
    assert "max_epochs: 3" in best.out

    page = (Path("all") / "report.html").read_text(encoding="utf-8")
    assert f"The best of 3 trials is trial {found['best']['trial']} with" in page

    again = zoo(*command, "--out", "all")  # there is nothing left to do
    assert again.status == 0
    assert "3 trials, 3 complete" in again.out
    assert "zoo train all/best.yaml" in again.out
    assert json.loads((Path("all") / "summary.json").read_text())["trials"] == found["trials"]


def test_the_test_part_is_not_read(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo_toy.images import Images

    original = Images.samples

    def samples(self: Any, part: str) -> Any:
        assert part != "test", "the test part was read"
        return original(self, part)

    monkeypatch.setattr(Images, "samples", samples)
    overrides = {**SETTINGS, "trainer.max_epochs": 1, "trainer.callbacks": "null"}
    space = {"model.lr": "log:1e-3:1e-1"}
    found = sweep(recipe="toy/images", space=space, overrides=overrides, trials=2)
    assert [row["state"] for row in found.trials] == ["complete", "complete"]
    assert not any(name.startswith("test/") for name in _run(found, 0).metrics)
    with pytest.raises(AssertionError, match="the test part was read"):
        zoo.train("toy/images", overrides)


def _run(found: Sweep, number: int) -> Any:
    return open_group(found.path).runs[f"trial-{number:04}"]


def test_killed_twice_it_ends_as_one_that_was_not(toy: Any) -> None:
    sweep("whole", trials=6)

    def killed(name: str, number: int) -> Callable[[], object]:
        def work() -> None:
            original, count = getattr(sweeping.TrialReporter, name), 0

            def call(*given: Any) -> Any:
                nonlocal count
                count += 1
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                return original(*given)

            setattr(sweeping.TrialReporter, name, call)
            sweep("cut", trials=6)

        return work

    # Within the third trial, after its checkpoint of an epoch; and at the end of another.
    assert in_a_process(killed("on_validation_end", 9)) == -signal.SIGKILL
    assert in_a_process(killed("on_train_end", 2)) == -signal.SIGKILL
    sweep("cut", trials=6)
    assert table("cut") == table("whole")
    assert logged("cut") == logged("whole")


@pytest.mark.slow
def test_killed_at_random_moments(toy: Any, tmp_path: Path) -> None:
    whole = sweep("whole", trials=7)
    total = calls_of(lambda: sweep("counted", trials=7), tmp_path)
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # shown on failure
    draw = random.Random(seed)
    for number in range(3):
        out = f"cut{number}"
        for attempt in range(6):
            moment = draw.randrange(1, total // (attempt + 1))

            def work(out: str = out, moment: int = moment) -> None:
                die_at_call(moment)
                sweep(out, trials=7)

            print(f"{out}: killed at call {moment} of {total}")
            if (status := in_a_process(work)) == 0:
                break
            assert status == -signal.SIGKILL
        found = sweep(out, trials=7)
        assert [row["values"] for row in found.trials] == [row["values"] for row in whole.trials]
        assert table(out) == table("whole")


@pytest.mark.parametrize("kind", ["journal", pytest.param("sqlite", marks=pytest.mark.slow)])
def test_processes_share_the_trials(toy: Any, kind: str, capfd: pytest.CaptureFixture) -> None:
    given = {"trials": 5, "storage": "sqlite:///trials.db"} if kind == "sqlite" else {"trials": 5}
    children = []
    for _ in range(2):
        children.append(os.fork())
        if not children[-1]:
            status = 1
            try:
                sweep("all", **given)
                status = 0
            finally:
                sys.stderr.flush()
                os._exit(status)
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    said = capfd.readouterr().err
    assert ended == [0, 0], said
    begun = [line.split()[1] for line in said.splitlines() if " of 5: " in line]
    assert sorted(begun) == list("01234")
    assert [row["state"] for row in sweep("all", **given).trials] == ["complete"] * 5


@pytest.mark.slow
def test_pruning(toy: Any, capsys: pytest.CaptureFixture) -> None:
    """A trial that is behind ends early, as a finished run that says so."""
    space = {"model.learning_rate": "log:1e-6:1"}
    found = sweep(space=space, trials=10, sampler="random")
    pruned = [row for row in found.trials if row["state"] == "pruned"]
    assert pruned
    assert all(row["trial"] >= 5 and row["validations"] >= 2 for row in pruned)
    assert "is behind the other trials" in capsys.readouterr().err
    run = _run(found, pruned[0]["trial"])
    assert (run.finished, run.environment["pruned"]) == (True, pruned[0]["validations"])
    assert pruned[0]["value"] == run.metrics["val/loss"]
    never = sweep("never", space=space, trials=7, pruner="none", sampler="random")
    assert {row["state"] for row in never.trials} == {"complete"}
    assert [row["values"] for row in never.trials] == [row["values"] for row in found.trials[:7]]


def test_a_trial_that_fails_is_a_result(toy: Any, zoo: Callable) -> None:
    space = {"model.nan_at_step": "choice:-1,1"}
    found = sweep(space=space, trials=5, sampler="random")
    states = {row["values"]["model.nan_at_step"]: row["state"] for row in found.trials}
    assert states == {-1: "complete", 1: "failed"}
    (reason, *_) = [row["reason"] for row in found.trials if row["state"] == "failed"]
    assert "is nan" in reason.lower()
    words = [f"--{key}={value}" for key, value in SETTINGS.items()]
    bad = zoo(
        *("sweep", "toy/points", *words, "--model.nan_at_step=choice:0,1", "--trials=2"),
        *("--metric=val/loss", "--out=bad"),
    )
    assert bad.status == 1
    assert "no trial came to its end" in bad.out


def test_ctrl_c_ends_it_and_the_same_command_goes_on(toy: Any) -> None:
    space = {**SPACE, "model.ctrl_c_at_step": "choice:-1,-2"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweeping.TrialReporter, "on_validation_end", _interrupt)
        with pytest.raises(ZooError, match="the same command with --out sweep continues") as stop:
            sweep(space=space, trials=2)
    assert stop.value.status == 130
    assert [row["state"] for row in sweep(space=space, trials=2).trials] == ["complete"] * 2


def _interrupt(self: Any, trainer: Any, module: Any) -> None:
    if not trainer.sanity_checking:
        os.kill(os.getpid(), signal.SIGINT)


def test_plots(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping.files, "draw_plots", DRAW)
    sweep(trials=3)
    names = ["history", "importances", "intermediate_values", "parallel_coordinate", "slice"]
    drawn = sorted(Path("sweep/plots").iterdir())
    assert [path.name for path in drawn] == [f"{name}.png" for name in names]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"space": {"model.learning_rat": "log:1e-3:1"}}, "did you mean 'model.learning_rate'"),
        ({"space": {"modle.hidden": "int:1:4"}}, r"did you mean '--model\."),
        ({"space": {"model.hidden": "log:4:16"}}, "of type int.*search model.hidden by logint:"),
        ({"space": {"model.activation": "choice:relu,tahn"}}, "has to be one of 'relu', 'tanh'"),
        ({"space": {"model.batch_norm": "int:2:4"}}, "'model.batch_norm' has to be of type bool"),
        ({"space": {"model.hidden": "int:-4:8"}}, "with model.hidden -4 data or model cannot be"),
        ({"space": None}, "a sweep varies something: give --space FILE"),
        ({"overrides": {"model.hidden": 3}, "space": {"model.hidden": "int:1:4"}}, "omit one of"),
        ({"metric": None}, "neither the recipe nor its model monitors a metric"),
        ({"metric": "val/los"}, r"did you mean --metric val/loss\?"),
        ({"metric": "test/loss"}, "which a sweep does not read"),
        ({"metric": "val/oddness"}, "the validation does not log val/oddness: "),
        ({"direction": "up"}, "--direction has to be minimize or maximize, not 'up'"),
        ({"sampler": "grid"}, "--sampler has to be one of tpe, random, not 'grid'"),
        ({"trials": 0}, "--trials has to be 1 or more, not 0"),
        ({"storage": "mysql://me@there/db"}, "of a kind that is not known"),
        ({"storage": "sqlite:///no/where.db"}, "there is no folder no for the storage"),
        ({"storage": "sqlite://"}, "names no file"),
        ({"storage": "no/where.log"}, r"there is no folder .* for the storage where\.log"),
        ({"storage": "."}, "is a folder: name a file"),
        ({"out": "file"}, "file exists and is not empty"),
        ({"overrides": {"trainer.fast_dev_run": True}}, "keeps nothing to choose by"),
        ({"overrides": {"trainer.limit_val_batches": 0}}, "nothing is validated: the test part is"),
        (
            {"overrides": {"trainer.devices": 2, "trainer.accelerator": "cpu"}},
            "trains in one process, on one device",
        ),
    ],
)
def test_what_is_refused_leaves_nothing(toy: Any, change: dict[str, Any], says: str) -> None:
    Path("file").touch()
    with pytest.raises(UsageError, match=says):
        sweep(**change)
    assert [path.name for path in Path().iterdir()] == ["file"]


def test_what_it_is_judged_by() -> None:
    def recipe(*callbacks: dict[str, Any]) -> Recipe:
        content = {"model": {"name": "m"}, "data": {"name": "d"}}
        return make_recipe({**content, "trainer": {"callbacks": list(callbacks)}}, "r")

    def watching(kind: str, **arguments: str) -> dict[str, Any]:
        return {"class_path": f"lightning.pytorch.callbacks.{kind}", "init_args": arguments}

    plain = LightningModule()
    monitored = LightningModule()
    monitored.monitor, monitored.monitor_mode = "val/dice", "max"
    stops = watching("EarlyStopping", monitor="val/return", mode="max")
    keeps = watching("ModelCheckpoint", monitor="val/gap")
    timer = watching("Timer")
    assert find_metric(recipe(timer, stops, keeps), plain, None) == "val/gap"
    assert find_metric(recipe(stops), monitored, None) == "val/return"
    assert find_metric(recipe(), monitored, None) == "val/dice"
    assert find_metric(recipe(stops), monitored, "val/loss") == "val/loss"

    assert find_direction(recipe(keeps), plain, "val/gap", None) == "minimize"
    assert find_direction(recipe(stops), plain, "val/return", None) == "maximize"
    assert find_direction(recipe(), monitored, "val/dice", "minimize") == "minimize"
    assert find_direction(recipe(), plain, "val/average_return", None) == "maximize"
    assert find_direction(recipe(), plain, "val_loss", None) == "minimize"
    with pytest.raises(UsageError, match="does not say which way is better"):
        find_direction(recipe(), plain, "val/oddness", None)
    with pytest.raises(UsageError, match="does not say which way is better"):
        find_direction(recipe(), plain, "val/accuracy_loss", None)


def test_data_without_a_validation_part(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from lightning.pytorch import LightningDataModule
    from zoo_toy.data import Points

    monkeypatch.setattr(Points, "val_dataloader", LightningDataModule.val_dataloader)
    with pytest.raises(UsageError, match="the data have no validation part"):
        sweep()


def test_another_sweep_is_not_continued(toy: Any) -> None:
    sweep(trials=1)
    wider = {**SPACE, "model.learning_rate": "log:1e-4:1"}
    with pytest.raises(
        UsageError, match=r"'model.learning_rate' was 'log:0.001:1', not 'log:0.0001"
    ):
        sweep(space=wider, trials=1)
    with pytest.raises(UsageError, match=r"'model.hidden' was 16, not 'int:1:4'"):
        sweep(space={**SPACE, "model.hidden": "int:1:4"}, trials=1)
    with pytest.raises(UsageError, match=r"keeps its trials in journal.log as the study"):
        sweep(storage="other.log", trials=1)
    assert not Path("other.log").exists()
    zoo.train("toy/points", SETTINGS, out="run")
    with pytest.raises(UsageError, match="run exists and is not empty"):
        sweep("run")

    sweep("first", storage="sqlite:///all.db", trials=1)
    with pytest.raises(UsageError, match=r"the study 'toy/points' in sqlite:///all.db is another"):
        sweep("second", storage="sqlite:///all.db", space=wider, trials=1)
    assert not Path("second").exists()
    assert sweep("second", storage="sqlite:///all.db", space=wider, trials=1, study="two").best


def test_folders_of_two_machines_share_one_storage(toy: Any) -> None:
    """What one began and did not end is left to it; the other does the rest."""

    def stop(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        sweeping.TrialReporter.on_validation_end = stop
        sweep("here", storage="all.log", trials=3)

    assert in_a_process(work) == -signal.SIGKILL
    there = sweep("there", storage="all.log", trials=3)
    assert [row["state"] for row in there.trials] == ["running", "complete", "complete"]
    here = sweep("here", storage="all.log", trials=3)
    assert [row["state"] for row in here.trials] == ["complete"] * 3
    assert sorted(path.name for path in Path("here").glob("trial-*")) == ["trial-0000"]


def test_resuming_by_name(toy: Any) -> None:
    first = sweep(None, trials=1, resume="auto")
    assert first.path.parent == Path("runs/sweep/toy/points")
    assert sweep(None, trials=2, resume="auto").path == first.path
    assert sweep(None, trials=2, resume="auto").path != first.path  # which is done
    assert len(sweep(None, trials=3, resume=first.path).trials) == 3
    with pytest.raises(UsageError, match="omit --out"):
        sweep("other", resume=first.path)
    with pytest.raises(UsageError, match="nothing is not a group of runs"):
        sweep(None, resume="nothing")


def test_half_a_line_of_a_journal_is_dropped(toy: Any) -> None:
    whole = sweep("whole", trials=2)
    sweep(trials=1)
    with Path("sweep/journal.log").open("ab") as file:
        file.write(b'{"op_code": 4, "wor')
    assert [row["values"] for row in sweep(trials=2).trials] == [
        row["values"] for row in whole.trials
    ]


def test_a_storage_that_is_silent(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storages, "_PATIENCE", 0.05)
    monkeypatch.setattr(storages, "RDBStorage", lambda *_, **__: threading.Event().wait(5))
    with pytest.raises(UsageError, match=r"does not answer \(nothing came within"):
        sweep(storage="sqlite:///all.db")
    assert not Path("sweep").exists()


def test_a_server_that_is_not_there(toy: Any) -> None:
    with pytest.raises(UsageError, match=r"postgresql://me:\*\*\*@127.0.0.1:1/db does not answer"):
        sweep(storage="postgresql://me:secret@127.0.0.1:1/db")


def test_a_storage_that_goes_while_it_runs(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sweeping.TrialReporter, "on_validation_end", _lose)
        with pytest.raises(ZooError, match=r"does not answer any more .*: the same") as lost:
            sweep(trials=2)
    assert lost.value.status == 1
    assert [row["state"] for row in sweep(trials=2).trials] == ["complete"] * 2


def _lose(self: Any, trainer: Any, module: Any) -> None:
    if not trainer.sanity_checking:
        with storages.answering("journal.log"):
            raise OSError("gone")


def test_without_optuna(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith("zoo.experiments.sweeps.")]:
        if name != "zoo.experiments.sweeps.sweep":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingDependencyError, match=r'pip install .* "zoo\[sweep\]"'):
        sweep()
