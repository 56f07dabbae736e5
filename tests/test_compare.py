"""`zoo compare`: recipes side by side, each the mean of its seeds."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_runs import fake_run

import zoo as package
from zoo.cli.main import main
from zoo.errors import UsageError
from zoo.report.comparison import write_comparison
from zoo.runs.compare import compare
from zoo.runs.group import Group, create_group
from zoo.runs.statistics import bootstrap_interval, difference_interval, student_quantile
from zoo.runs.summaries import compare_two, summarize

FIVE = (0.90, 0.92, 0.91, 0.93, 0.94)


def seeds(folder: str, values: tuple[float, ...] = FIVE, **options: Any) -> str:
    """A run a seed with these test accuracies; the validation's are a little less."""
    for seed, value in enumerate(values, 1):
        metrics = {"test/accuracy": value, "val/accuracy": value - 0.01, "train/loss": 0.1}
        fake_run(f"{folder}/seed-{seed}", metrics, seed=seed, **options)
    return folder


CURVE = [
    {"epoch": 0, "step": 9, "train/loss": 0.9, "val/accuracy": 0.5},
    {"epoch": 1, "step": 19, "train/loss": 0.4, "val/accuracy": 0.75},
    {"epoch": 2, "step": 20, "test/accuracy": 0.8},
]


def test_seeds_are_one_row() -> None:
    found = package.compare([seeds("a")])
    (row,) = found.rows
    assert (row.label, row.recipe, row.seeds) == ("A", "toy/points", (1, 2, 3, 4, 5))
    accuracy = row.metrics["test/accuracy"]
    assert accuracy.n == 5
    assert accuracy.mean == pytest.approx(0.92)
    assert accuracy.low is not None
    assert accuracy.high is not None
    assert 0.90 < accuracy.low < 0.92 < accuracy.high < 0.94
    assert (found.validation, found.test) == (("val/accuracy",), ("test/accuracy",))
    assert row.met == 5
    assert "10000 resamples" in found.method
    assert compare(["a"]) == found  # the resamples are seeded


def test_a_difference_within_the_seeds_and_one_beyond(zoo: Callable) -> None:
    seeds("a")
    seeds("b", (0.92, 0.91, 0.93, 0.90, 0.95), changes={"model.hidden": 8})
    seeds("c", (0.5, 0.51, 0.52, 0.49, 0.5), changes={"model.hidden": 1})
    found = compare(["a", "b", "c"])
    assert [row.changed for row in found.rows] == [{"model.hidden": n} for n in (16, 8, 1)]
    assert found.recipes == {"model.hidden": {"A": 16, "B": 8, "C": 1}}
    beyond = {(d.metric, d.one, d.other): d.beyond_seeds for d in found.differences}
    assert beyond["test/accuracy", "A", "B"] is False
    assert beyond["test/accuracy", "A", "C"] is True
    assert beyond["val/accuracy", "B", "C"] is True
    text = zoo("compare", "a", "b", "c").out
    assert text.index("Validation") < text.index("val/accuracy") < text.index("Test\n")
    assert "less than seeds do" in text
    assert "more than seeds do" in text
    assert max(map(len, text.splitlines())) <= 80


def test_one_seed_cannot_tell(zoo: Callable) -> None:
    seeds("a")
    fake_run("b", {"test/accuracy": 0.99}, changes={"model.hidden": 8})
    found = compare(["a", "b"])
    (difference,) = found.differences
    assert (difference.low, difference.high, difference.beyond_seeds) == (None, None, None)
    assert found.notes == (
        "val/accuracy is left out: toy/points (model.hidden=8) did not measure it",
    )
    assert "One seed cannot tell: B needs more" in zoo("compare", "a", "b").out


def test_seeds_that_all_gave_the_same() -> None:
    same = summarize([0.5, 0.5, 0.5])
    assert compare_two("m", ("A", "B"), same, same).beyond_seeds is False
    assert compare_two("m", ("A", "B"), same, summarize([0.6, 0.6])).beyond_seeds is True


def test_the_order_is_never_by_the_test_unless_asked() -> None:
    keeper = {"class_path": "x.ModelCheckpoint", "init_args": {"monitor": "val/loss"}}
    for name, validated, tested, hidden in (("a", 0.9, 0.9, 8), ("b", 0.1, 0.1, 16)):
        metrics = {"val/loss": validated, "test/accuracy": tested}
        changes = {"model.hidden": hidden, "trainer.callbacks": [keeper]}
        fake_run(name, metrics, changes=changes, monitor="val/loss")
        fake_run(f"last/{name}", metrics, changes={"model.hidden": hidden})
    by_monitor = compare(["a", "b"])
    assert by_monitor.order == "by val/loss, the least first"
    assert [Path(row.runs[0]).name for row in by_monitor.rows] == ["b", "a"]
    as_given = compare(["last/b", "last/a"])
    assert as_given.order.startswith("in the order given")
    assert [Path(row.runs[0]).name for row in as_given.rows] == ["b", "a"]
    asked = compare(["last/b", "last/a"], sort="test/accuracy")
    assert [Path(row.runs[0]).name for row in asked.rows] == ["a", "b"]
    assert "would make the test part a part of the training" in asked.order
    with pytest.raises(UsageError, match="which --sort asks for"):
        compare(["a"], sort="val/x")


def test_what_is_left_out_is_said() -> None:
    seeds("a", (0.9, 0.8))
    fake_run("a/again", {"test/accuracy": 0.1, "val/accuracy": 0.1}, seed=2, started="2025-01-01")
    fake_run("a/cut", finished=False, seed=6)
    fake_run("a/bad", finished=False, seed=7, failed="the disk is full")
    fake_run("a/none", {}, seed=8)
    found = compare(["a", "a/seed-1"])
    (row,) = found.rows
    assert row.seeds == (1, 2)
    assert row.metrics["test/accuracy"].mean == pytest.approx(0.85)
    assert set(found.notes) == {
        "a/seed-1 was named twice and counted once",
        "a/cut is left out: interrupted",
        "a/bad is left out: failed: the disk is full",
        "a/none is left out: it has no metrics",
        "a/again is left out: a/seed-2 is newer and has the same recipe and seed",
    }


def test_members_of_a_group_that_have_not_begun(zoo: Callable) -> None:
    members = {f"seed-{seed}": {"seed": seed} for seed in (1, 2, 3)}
    create_group(Group(Path("a"), "seeds", "toy/points", members))
    seeds("a", (0.9, 0.8))
    assert compare(["a"]).notes == ("a/seed-3 is left out: not begun",)


def test_environments_that_differ() -> None:
    seeds("a", (0.9, 0.8))
    seeds("b", (0.9, 0.8), changes={"model.hidden": 8}, precision="bf16-mixed")
    found = compare(["a", "b"])
    assert found.environments == {"precision": {"A": None, "B": "bf16-mixed"}}


def test_settings_of_the_machine_do_not_part_seeds() -> None:
    seeds("a", (0.9, 0.8))
    fake_run("a/seed-3", seed=3, changes={"trainer.devices": 2, "data.num_workers": 4})
    (row,) = compare(["a"]).rows
    assert row.seeds == (1, 2, 3)


def test_other_data_and_classes_are_said() -> None:
    seeds("a", (0.9, 0.8), classes=["cat", "dog"])
    seeds("b", (0.9, 0.8), classes=["cat", "cow"])
    seeds("c", (0.9, 0.8), changes={"data.name": "toy-files"})
    found = compare(["a", "b", "c"])
    assert [row.classes for row in found.rows] == [("cat", "dog"), ("cat", "cow"), None]
    first, second = found.notes
    assert first.startswith("A and B are not measured on the same data (toy-points, 2 classes: cat")
    assert second.startswith("A and C are not measured on the same data (toy-points, 2 classes: ca")
    assert found.differences == ()


def test_nothing_in_common_is_refused(zoo: Callable) -> None:
    fake_run("a", {"test/accuracy": 0.9, "train/loss": 1.0})
    fake_run("b", {"test/return": 12.0, "train/loss": 2.0}, recipe="toy/agent")
    done = zoo("compare", "a", "b")
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "zoo: toy/points and toy/agent measured nothing in common: the one has test/accuracy, the "
        "other test/return; compare them with runs of their own kind\n"
    )
    asked = compare(["a", "b"], ["test/return"])
    assert asked.test == ("test/return",)
    assert [sorted(row.metrics) for row in asked.rows] == [
        ["test/accuracy", "train/loss"],
        ["test/return", "train/loss"],
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["absent"], "'absent' is not a folder: name runs"),
        ([""], "'' is not a folder"),
        (["empty"], "empty is not a run folder, and there is none in it"),
        (["cut"], "none of the runs has come to its end with metrics (1 interrupted)"),
        (["none"], "none of the runs has come to its end with metrics (1 without metrics)"),
        (["a", "--metric", "val/acuracy"], "did you mean 'val/accuracy'?"),
        (["a", "--out", "empty/file"], "choose another --out"),
        (["a", "--out", "a"], "a exists and is not empty: choose another --out"),
        (["a", "--out", ""], "the name of the folder is empty"),
    ],
)
def test_wrong_calls(zoo: Callable, words: list[str], says: str) -> None:
    seeds("a", (0.9, 0.8))
    fake_run("cut", finished=False)
    fake_run("none", {})
    Path("empty").mkdir()
    if words[-1] == "empty/file":
        Path("empty/file").write_text("x", encoding="utf-8")
    before = sorted(Path().rglob("*"))
    done = zoo("compare", *words)
    assert (done.status, done.out) == (2, "")
    assert says in done.err
    assert done.err.count("\n") == 1
    assert sorted(Path().rglob("*")) == before


def test_what_is_written(zoo: Callable) -> None:
    seeds("a", rows=CURVE)
    seeds("b", changes={"model.hidden": 8}, rows=CURVE[:1])
    for _ in range(2):  # an earlier comparison is replaced
        assert zoo("compare", "a", "b", "--out", "found").status == 0
    summary = json.loads(Path("found/summary.json").read_text(encoding="utf-8"))
    assert summary == json.loads(zoo("compare", "a", "b", "--json").out)
    assert summary["rows"][0]["metrics"]["test/accuracy"]["n"] == 5
    curve = summary["curves"]["A"][0]
    assert (curve["metric"], curve["unit"]) == ("val/accuracy", "epoch")
    assert (curve["x"], curve["mean"]) == ([1.0, 2.0], [0.5, 0.75])
    with Path("found/summary.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["row"], row["metric"], row["n"]) for row in rows] == [
        ("A", "val/accuracy", "5"),
        ("A", "test/accuracy", "5"),
        ("B", "val/accuracy", "5"),
        ("B", "test/accuracy", "5"),
    ]
    assert Path("found/plots/curves.png").stat().st_size > 1000


def test_curves_against_the_learners_own_counter() -> None:
    """They have points at other counts, so the mean is taken between those."""
    for seed, last in ((1, 40), (2, 60)):
        rows = [
            {"epoch": 0, "step": 1, "env_steps": 10, "val/return": 1.0 * seed},
            {"epoch": 1, "step": 2, "env_steps": last, "val/return": 4.0 * seed},
        ]
        fake_run(f"a/{seed}", {"val/return": 4.0, "env_steps": last}, seed=seed, rows=rows)
    found = compare(["a"])
    assert found.counts == ("env_steps",)
    (curve,) = found.curves["A"]
    assert curve.unit == "env_steps"
    assert curve.x == (10, 40)  # as far as both go
    assert curve.low == (1.0, 4.0)
    assert curve.high == (2.0, pytest.approx(2 + 6 * 30 / 50))
    assert [len(points) for points in curve.runs] == [2, 2]


def test_damaged_curves_are_said() -> None:
    seeds("a", (0.9, 0.8), rows=CURVE)
    with Path("a/seed-1/metrics.csv").open("a", encoding="utf-8") as file:
        file.write("x,y\n")
    found = compare(["a"])
    assert len(found.notes) == 1
    assert found.notes[0].startswith("a/seed-1/metrics.csv is damaged")
    assert found.curves["A"][0].x == (1.0, 2.0)


def test_tables_to_be_pasted(zoo: Callable) -> None:
    seeds("a", (0.9, 0.8))
    marked = zoo("compare", "a", "--format", "md").out.splitlines()
    assert marked[0] == "|  | recipe | seeds | val/accuracy | test/accuracy |"
    assert marked[2].startswith("| A | toy/points | 2 | 0.84 [0.79 to 0.89] |")
    seeds("b", (0.9, 0.8), changes={"model.hidden_size": 3})
    latex = zoo("compare", "a", "b", "--format", "tex").out
    assert r"toy/points (model.hidden\_size=3) & 2 & 0.84 [0.79 to 0.89]" in latex
    assert zoo("compare", "a", "--format", "csv").out.startswith("row,recipe,changed,metric,mean")


def test_a_metric_that_is_not_a_number(zoo: Callable) -> None:
    seeds("a", (0.9, 0.8))
    fake_run("a/seed-3", {"test/accuracy": 0.9, "val/accuracy": None}, seed=3)
    found = compare(["a"])
    assert math.isnan(found.rows[0].metrics["val/accuracy"].mean)
    assert json.loads(zoo("compare", "a", "--json").out)["rows"][0]["metrics"]["val/accuracy"][
        "values"
    ] == [pytest.approx(0.89), pytest.approx(0.79), None]
    write_comparison(found, Path("out"))


def test_folds_are_one_row() -> None:
    for number in (1, 2):
        fold = {"number": number, "of": 2, "samples": 9, "names": "abc", "val": f"x{number}"}
        path = fake_run(f"a/fold-{number}", {"val/accuracy": 0.5 * number})
        with (path / "recipe.yaml").open("a") as file:
            file.write(f"fold: {json.dumps(fold)}\n")
    (row,) = compare(["a"]).rows
    assert (row.folds, row.seeds) == ((1, 2), (1, 1))
    assert row.metrics["val/accuracy"].mean == 0.75


def test_nothing_heavy_is_imported(python: Callable) -> None:
    seeds("a", (0.9, 0.8), rows=CURVE)
    code = (
        "import sys; from zoo.cli.main import main; main(['compare', 'a']); main(['runs', 'a']); "
        "assert not {'torch', 'lightning', 'numpy', 'matplotlib'} & set(sys.modules)"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert main(["compare", "a", "--out", "b"]) == 0


# Statistics


@pytest.mark.parametrize(
    ("freedom", "value"),
    # Of a table of Student's t at 0.975.
    [(1, 12.7062), (2, 4.30265), (4, 2.77645), (8, 2.30600), (30, 2.04227), (1000, 1.96234)],
)
def test_quantiles_of_student(freedom: float, value: float) -> None:
    assert student_quantile(0.975, freedom) == pytest.approx(value, rel=1e-5)


def test_welchs_interval() -> None:
    """Of [1, 2, 3.5, 4, 9] and [2, 3, 3, 8] scipy gives it too (`ttest_ind`)."""
    found = difference_interval([1, 2, 3.5, 4, 9], [2, 3, 3, 8])
    assert found == pytest.approx((-0.1, -4.6892199228, 4.4892199228))
    assert difference_interval([1.0], [1.0, 2.0]) is None


def test_the_bootstrap_interval() -> None:
    """Of two values it is the values themselves, as a quarter of the resamples is each of them."""
    assert bootstrap_interval([1.0]) is None
    assert bootstrap_interval([1.0, 2.0]) == (1.0, 2.0)
    low, high = bootstrap_interval([float(n) for n in range(100)]) or (0.0, 0.0)
    reach = 1.96 * math.sqrt((100**2 - 1) / 12 / 100)  # of the normal distribution
    assert (low, high) == pytest.approx((49.5 - reach, 49.5 + reach), abs=0.3)
