"""What a learner counts, as a unit: budgets, windows, intervals, schedules, curves, resume."""

from __future__ import annotations

import json
import re
import signal
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from cuts import assert_same, in_a_process, with_signal

from zoo.errors import UsageError, ZooError
from zoo.plugin.counters import counters as read_counters
from zoo.plugin.stopping import StopWhenSolved
from zoo.runs.run import Run
from zoo.training.counting import put_back
from zoo.training.train import train

QUICK = {"logger": False, "enable_progress_bar": False, "accelerator": "cpu"}


@pytest.fixture(autouse=True)
def counting(distributions: Any) -> Any:
    distributions.add("counting", value="counting_plugin")
    return distributions


def climb(
    out: str | Path | None = None,
    budget: Any = None,
    *,
    resume: str | None = None,
    population: int = 20,
    forgetful: bool = False,
    changes: Any = None,
    **trainer: Any,
) -> Run:
    recipe = {
        "seed": 1,
        "model": {"name": "climber", "population": population, "forgetful": forgetful},
        "data": {"name": "generations", "steps_per_epoch": 4},
        "trainer": {**QUICK, **trainer},
        **({"budget": budget} if budget else {}),
    }
    return train(recipe, changes, out=out, resume=resume)


def learn(
    out: str | None = None, budget: Any = None, *, resume: str | None = None, **more: Any
) -> Run:
    model = {"name": "counted-net", "schedule": more.pop("schedule", "constant")}
    recipe = {
        "seed": 1,
        "model": model,
        "data": {"name": "sums", **more.pop("data", {})},
        "trainer": {**QUICK, **more},
        **({"budget": budget} if budget else {}),
    }
    return train(recipe, out=out, resume=resume)


def solved(**arguments: Any) -> dict[str, Any]:
    path = "zoo.plugin.StopWhenSolved"
    return {"callbacks": [{"class_path": path, "init_args": arguments}]}


@pytest.mark.parametrize(("limit", "reached"), [(100, 100), (101, 120), (1, 20)])
def test_the_first_batch_that_reaches_the_budget_is_the_last(
    limit: int, reached: int, capsys: pytest.CaptureFixture[str]
) -> None:
    run = climb("run", {"evaluations": limit}, enable_progress_bar=True)
    assert json.loads((run.path / "metrics.json").read_text())["evaluations"] == reached
    told = capsys.readouterr().err
    epochs = -(-reached // 80)
    expected = f"{reached} evaluations are counted, and the budget is {limit}"
    assert f"training ends after epoch {epochs}: {expected}\n" in told
    assert f"epoch {epochs}  evaluations {reached}/{limit}  score" in told
    assert "val/score" in run.metrics  # of the state that the budget ended with


def test_the_counts_are_columns_written_whole() -> None:
    run = climb("run", {"evaluations": 200_000_080}, population=100_000_000)
    text = run.metrics_csv.read_text()
    assert "300000000" in text
    assert text.splitlines()[0].startswith("epoch,step,evaluations,")
    assert run.metrics["evaluations"] == 300_000_000


def test_of_several_budgets_the_first_reached_counts() -> None:
    recipe = {"name": "generations", "steps_per_epoch": 4}
    model = {"name": "climber", "two": True}
    budget = {"evaluations": 90, "generations": 3}
    run = train({"model": model, "data": recipe, "trainer": QUICK, "budget": budget}, out="run")
    assert (run.metrics["evaluations"], run.metrics["generations"]) == (60, 3)


def test_other_limits_end_a_training_before_its_budget(capsys: pytest.CaptureFixture[str]) -> None:
    run = climb("run", {"evaluations": 1000}, max_epochs=2)
    assert run.metrics["evaluations"] == 160
    told = capsys.readouterr().err
    assert "after epoch 2, by the Trainer's limits, before its budget: 160 of 1000" in told


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"evaluation": 9}, "'budget': neither the model nor the data count 'evaluation'; did you"),
        ({"frames": 9}, "count 'frames'; they count evaluations"),
        ({"epochs": 9}, "that is the Trainer's: --trainer.max_epochs"),
    ],
)
def test_a_unit_that_is_not_counted_is_refused(budget: Any, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        climb("run", budget)
    assert not Path("run").exists()


def test_without_counters_a_sentence_names_the_member(toy: Any) -> None:
    with pytest.raises(UsageError, match=r"they count nothing; .* by its member `counters`"):
        train("toy/points", {"budget": "evaluations=5"}, out="run")
    assert not Path("run").exists()


@pytest.mark.parametrize(
    "budget", [{"evaluations": 0}, {"evaluations": 1.5}, {"evaluations": "x"}, 7]
)
def test_a_budget_of_the_wrong_form_is_refused(budget: Any) -> None:
    with pytest.raises(UsageError, match="budget"):
        climb("run", budget)


def test_the_command_line_takes_the_place_of_the_recipes_budget(zoo: Any) -> None:
    Path("r.yaml").write_text(
        "model: {name: climber}\ndata: {name: generations}\ntrainer: {logger: false}\n"
        "budget: {evaluations: 1000}\n",
        encoding="utf-8",
    )
    done = zoo("train", "r.yaml", "--budget", "evaluations=40", "--out", "run", "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)[0]["evaluations"] == 40
    assert "budget:\n  evaluations: 40\n" in Path("run/recipe.yaml").read_text(encoding="utf-8")
    done = zoo("train", "r.yaml", "--budget.evaluations", "60", "--print-config")
    assert "budget:\n  evaluations: 60\n" in done.out
    done = zoo("train", "r.yaml", "--budget", "none", "--print-config")
    assert "budget" not in done.out
    done = zoo("train", "r.yaml", "--budget", "evaluations", "--out", "other")
    assert (done.status, Path("other").exists()) == (2, False)
    assert "UNIT=COUNT" in done.err
    done = zoo("train", "r.yaml", "--budget", "frames=5", "--out", "other")
    assert (done.status, Path("other").exists()) == (2, False)


@pytest.mark.parametrize("number", [1, 5, 6, 7])
def test_a_killed_run_continues_to_the_very_count(number: int) -> None:
    whole = climb("whole", {"evaluations": 150})
    work = partial(climb, budget={"evaluations": 150})
    killed = partial(with_signal, "on_train_batch_end", number, signal.SIGKILL, work)
    assert in_a_process(killed) == -signal.SIGKILL
    again = work("cut", resume="auto")
    assert again.metrics["evaluations"] == 160
    assert_same(again, whole)


@pytest.mark.parametrize("number", [2, 5, 7])
def test_a_run_that_is_stopped_within_an_epoch_does_too(number: int) -> None:
    whole = learn("whole", {"sequences": 350}, schedule="cosine", data={"length": 400})
    work = partial(learn, budget={"sequences": 350}, schedule="cosine", data={"length": 400})
    cut = partial(with_signal, "on_train_batch_end", 3 * number, signal.SIGINT, work)
    assert in_a_process(cut) == 130
    kept = torch.load(Run(Path("cut")).checkpoint, weights_only=True)
    assert kept["zoo_counters"]["now"] == {"sequences": 30 * number}
    again = work("cut", resume="auto")
    assert again.metrics["sequences"] == 350
    assert_same(again, whole)


def test_a_budget_can_be_raised_on_the_way() -> None:
    climb("run", {"evaluations": 100}, changes={"trainer.max_epochs": -1})
    finished = json.loads(Path("run/environment.json").read_text(encoding="utf-8"))
    del finished["finished"]
    Path("run/environment.json").write_text(json.dumps(finished), encoding="utf-8")
    run = train("run/recipe.yaml", {"budget": {"evaluations": 200}}, resume="run")
    assert run.metrics["evaluations"] == 200


def test_a_count_that_a_resume_loses_is_refused() -> None:
    work = partial(climb, budget={"evaluations": 1000}, forgetful=True)
    cut = partial(with_signal, "on_train_batch_end", 6, signal.SIGINT, work)
    assert in_a_process(cut) == 130
    with pytest.raises(ZooError, match="'evaluations' is 0, and was 120 in the checkpoint"):
        work("cut", resume="auto")


def test_a_count_that_does_not_grow_ends_the_training() -> None:
    with pytest.raises(ZooError, match="epoch 1 counted no evaluations"):
        climb("run", {"evaluations": 100}, changes={"model.still": True})


def test_the_first_counter_is_the_x_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    curves = zoo_plots().curves
    monkeypatch.setattr("zoo.plots.curves", lambda *given: drawn.append(given) or curves(*given))
    climb("run", {"evaluations": 160})
    ((series, x),) = drawn
    assert x == "evaluations"
    assert [point[0] for point in series["val/score"]] == [80, 160]
    assert "evaluations" not in series


def zoo_plots() -> Any:
    from zoo import plots

    return plots


def test_counts_come_back_from_processes_that_trained() -> None:
    """As from those of ddp_spawn: the checkpoint is all that they leave."""
    model = SimpleNamespace(counters={"evaluations": 0})
    data = SimpleNamespace()
    put_back({"zoo_counters": {"carried": {"model": {"evaluations": 40}}}}, model, data)
    assert model.counters == {"evaluations": 40}
    put_back({}, model, data)  # of an earlier version
    assert model.counters == {"evaluations": 40}


@pytest.mark.parametrize(
    ("counters", "said"),
    [
        (
            {"evaluations": 1.5},
            "counters['evaluations'] is 1.5: a counter has to be a whole number",
        ),
        ({"evaluations": True}, "is True: a counter has to be a whole number"),
        ({"epoch": 1}, "has the name 'epoch'"),
        ({"env steps": 1}, "has the name 'env steps': it has to be one word"),
    ],
)
def test_what_is_no_counter(counters: Any, said: str) -> None:
    with pytest.raises(ZooError, match=re.escape(said)):
        read_counters(SimpleNamespace(counters=counters))


def test_two_that_count_one_unit_are_told() -> None:
    one = SimpleNamespace(counters={"frames": 1})
    with pytest.raises(ZooError, match="and no other's"):
        read_counters(one, one)


def test_validation_at_intervals_of_counts() -> None:
    run = climb(
        "run",
        {"evaluations": 1000},
        val_check_interval={"evaluations": 250},
        callbacks=[
            {
                "class_path": "EarlyStopping",
                "init_args": {"monitor": "val/score", "mode": "max", "stopping_threshold": 2.0},
            },
            {
                "class_path": "ModelCheckpoint",
                "init_args": {
                    "filename": "{evaluations}",
                    "save_top_k": -1,
                    "monitor": "val/score",
                },
            },
        ],
    )
    header, *rows = [line.split(",") for line in run.metrics_csv.read_text().splitlines()]
    count, score = header.index("evaluations"), header.index("val/score")
    assert [row[count] for row in rows if row[score]] == ["260", "500", "760", "1000"]
    names = sorted(path.name for path in run.checkpoint.parent.glob("evaluations*"))
    assert names == [f"evaluations={n}.ckpt" for n in (1000, 260, 500, 760)]


def test_intervals_are_the_same_after_a_resume() -> None:
    work = partial(climb, budget={"evaluations": 700}, val_check_interval={"evaluations": 250})
    whole = work("whole")
    for number in (7, 12, 14):
        cut = partial(with_signal, "on_train_batch_end", number, signal.SIGINT, work)
        assert in_a_process(cut) == 130
        assert_same(work("cut", resume="auto"), whole)
        Path("cut").rename(f"cut-{number}")


def following(*names: str, monitor: str = "train/score") -> Any:
    arguments: dict[str, Any] = {"monitor": monitor, "mode": "max"}
    more = {
        "EarlyStopping": {"stopping_threshold": 0.0},
        "ModelCheckpoint": {"filename": "{evaluations}", "save_top_k": -1},
    }
    return [{"class_path": n, "init_args": {**arguments, **more[n]}} for n in names]


def test_intervals_of_counts_without_a_validation() -> None:
    work = partial(
        climb,
        budget={"evaluations": 700},
        val_check_interval={"evaluations": 250},
        callbacks=following("ModelCheckpoint"),
        changes={"data.val_steps": 0},
    )
    whole = work("whole")
    names = sorted(path.name for path in whole.checkpoint.parent.glob("evaluations*"))
    assert names == [f"evaluations={n}.ckpt" for n in (260, 500, 700)]
    cut = partial(with_signal, "on_train_batch_end", 14, signal.SIGKILL, work)
    assert in_a_process(cut) == -signal.SIGKILL
    assert_same(work("cut", resume="auto"), whole)
    assert sorted(path.name for path in Path("cut/checkpoints").glob("evaluations*")) == names


def test_what_no_step_logs_is_not_followed() -> None:
    settings = {"val_check_interval": {"evaluations": 50}, "limit_val_batches": 0}
    with pytest.raises(UsageError, match="EarlyStopping monitors 'train/fitness', which no train"):
        climb(
            "run",
            {"evaluations": 700},
            callbacks=following("EarlyStopping", monitor="train/fitness"),
            **settings,
        )


def test_an_interval_of_what_is_not_counted_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'trainer.val_check_interval': neither .* 'frames'"):
        climb("run", {"evaluations": 9}, val_check_interval={"frames": 5})
    with pytest.raises(UsageError, match="no validation part"):
        climb(
            "run",
            {"evaluations": 9},
            val_check_interval={"evaluations": 5},
            changes={"data.val_steps": 0},
        )
    assert not Path("run").exists()


def test_without_an_optimizer_a_batch_is_a_step() -> None:
    run = climb("run", max_steps=6)
    assert run.metrics["evaluations"] == 120
    kept = torch.load(run.checkpoint, weights_only=True)
    assert kept["global_step"] == 6


def test_a_schedule_by_counts() -> None:
    rates: list[float] = []

    class Note(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("counting_learner.torch.optim.SGD", Note)
        learn("run", {"sequences": 100}, schedule="cosine")
    assert rates[0] == pytest.approx(0.1)
    assert rates[5] == pytest.approx(0.05)
    assert rates[9] == pytest.approx(0.1 * 0.0244717, rel=1e-4)


def test_a_schedule_by_counts_needs_a_budget_or_a_total() -> None:
    with pytest.raises(UsageError, match="give --budget sequences=COUNT"):
        learn("run", schedule="cosine", max_epochs=1)
    assert not Path("run").exists()


WINDOW = {"monitor": "train/right", "threshold": 1.0, "over": 40, "unit": "sequences"}


def test_a_training_ends_when_it_is_solved(capsys: pytest.CaptureFixture[str]) -> None:
    run = learn("run", max_epochs=100, **solved(**WINDOW), log_every_n_steps=1)
    rows = [line.split(",") for line in run.metrics_csv.read_text().splitlines()]
    right = [float(row[rows[0].index("train/right")] or -1) for row in rows[1:]]
    steps = [value for value in right if value >= 0]
    assert steps[-4:] == [1.0] * 4
    assert all(min(steps[i : i + 4]) < 1 for i in range(len(steps) - 4))
    told = capsys.readouterr().err
    assert "solved, train/right was at least 1 over the last 40 sequences" in told


def test_the_window_is_the_same_after_a_resume(capfd: pytest.CaptureFixture[str]) -> None:
    work = partial(learn, max_epochs=100, data={"length": 400}, **solved(**WINDOW))
    whole = work("whole")
    steps = int(whole.metrics["sequences"]) // 10
    for number in (steps - 1, steps - 2, steps - 3):
        cut = partial(with_signal, "on_train_batch_end", number, signal.SIGINT, work)
        assert in_a_process(cut) == 130
        assert_same(work("cut", resume="auto"), whole)
        Path("cut").rename(f"cut-{number}")
    assert capfd.readouterr().err.count("solved, train/right") == 4


@pytest.mark.parametrize("monitor", ["train/loss", "train/rihgt"])
def test_a_metric_that_no_step_logs_is_told(monitor: str) -> None:
    with pytest.raises(UsageError, match=r"no training step has logged: .* are: train/r"):
        learn("run", max_epochs=3, **solved(**{**WINDOW, "monitor": monitor}))


def test_windows_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match=r"StopWhenSolved: neither .* 'frames'; they count seq"):
        learn("run", max_epochs=1, **solved(**{**WINDOW, "unit": "frames"}))
    assert not Path("run").exists()
    with pytest.raises(UsageError, match="name a metric such as 'train/loss'"):
        StopWhenSolved("val/loss", 1.0)
    with pytest.raises(UsageError, match="over has to be 1 or more"):
        StopWhenSolved("train/loss", 1.0, over=0)


@pytest.mark.parametrize(
    ("reduction", "mode", "threshold", "ends"),
    [("mean", "max", 2.0, 4), ("every", "max", 2.0, 5), ("mean", "min", 1.5, 3)],
)
def test_how_a_window_is_judged(reduction: Any, mode: Any, threshold: float, ends: int) -> None:
    """Values 1, 1, 2, 3, 4, ... over two batches: means 1, 1.5, 2.5, 3.5."""
    from lightning.pytorch import LightningModule, Trainer

    class Counting(LightningModule):
        def training_step(self, batch: Any, batch_idx: int) -> None:
            self.log("x", [9.0, 1.0, 2.0, 3.0, 4.0, 5.0][batch_idx])

        def configure_optimizers(self) -> None:
            return None

    rule = StopWhenSolved("x", threshold, mode, over=2, reduction=reduction)
    module = Counting()
    module.automatic_optimization = False
    trainer = Trainer(
        max_epochs=1,
        callbacks=[rule],
        logger=False,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, [0] * 6)
    assert rule.stop_reason
    assert trainer.fit_loop.epoch_loop.batch_idx + 1 == {4: 2, 5: 4, 3: 3}[ends]
