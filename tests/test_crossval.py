"""Cross-validation: a run for each fold, out-of-fold predictions, and the folds as an ensemble."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cuts import in_a_process

import zoo as package
import zoo.experiments.crossval as module
from zoo.errors import UsageError
from zoo.experiments.crossval import CrossValidation, crossval
from zoo.runs.group import Group, create_group, open_group
from zoo.runs.run import Run

pytest.importorskip("sklearn")
SHORT = {
    "trainer.logger": False,
    "trainer.enable_progress_bar": False,
    "trainer.max_epochs": 1,
    "data.size": 48,
}
WORDS = [word for key, value in SHORT.items() for word in (f"--{key}", str(value).lower())]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, with_toy: Callable) -> CrossValidation:
    """Three folds of the toy's images, grouped by patient."""
    out = tmp_path_factory.mktemp("folds") / "group"
    with with_toy():
        return crossval(
            "toy/images", SHORT, folds=3, group_by=r"regex:(patient\d+)", jobs=0, out=out
        )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_sample_is_predicted_by_the_model_that_did_not_see_it(done: CrossValidation) -> None:
    group = done.group
    folds, predicted = rows(group.path / "folds.csv"), rows(group.path / "predictions.csv")
    assert len(folds) == len(predicted) == 48 + 24
    of_sample = {row["sample"]: row for row in folds}
    assert all(row["fold"] == of_sample[row["sample"]]["fold"] for row in predicted)
    assert all(row["truth"] == of_sample[row["sample"]]["class"] for row in predicted)
    of_group: dict[str, set[str]] = {}
    for row in folds:
        of_group.setdefault(row["group"], set()).add(row["fold"])
    assert all(len(each) == 1 for each in of_group.values())
    right = sum(row["truth"] == row["label"] for row in predicted) / len(predicted)
    assert done.summary["out_of_fold"]["accuracy"] == pytest.approx(right)


def test_the_summary_has_every_fold_and_the_mean_over_folds(done: CrossValidation) -> None:
    summary = json.loads((done.group.path / "summary.json").read_text())
    assert [row["state"] for row in summary["runs"]] == ["finished"] * 3
    assert [row["fold"] for row in rows(done.group.path / "summary.csv")] == list(
        done.group.members
    )
    tested = [run.metrics["test/accuracy"] for run in done.group.runs.values()]
    over_folds = summary["over_folds"]["test/accuracy"]
    assert over_folds["mean"] == pytest.approx(sum(tested) / 3)
    assert over_folds["n"] == 3
    assert summary["chosen_by"] is None


def test_the_recipe_of_a_fold_repeats_it(toy: Any, done: CrossValidation, tmp_path: Path) -> None:
    fold = done.group.runs["fold-2"]
    again = package.train(fold.recipe_file, out=tmp_path / "again")
    assert again.metrics == fold.metrics
    assert Run(tmp_path / "again").recipe.fold == fold.recipe.fold
    with pytest.raises(UsageError, match="was made of 72 samples"):
        package.train(fold.recipe_file, {"data.size": 60}, out=tmp_path / "other")
    with pytest.raises(UsageError, match="is a fold of a cross-validation itself"):
        crossval(fold.recipe_file, out=tmp_path / "nested")


def test_a_group_of_folds_is_an_ensemble(toy: Any, done: CrossValidation, tmp_path: Path) -> None:
    path = done.group.path
    ensemble = package.load(path)
    data = package.create_data("toy-images")
    images, labels = data.samples("test").tensors
    members = [package.load(run.path) for run in done.group.runs.values()]
    with torch.inference_mode():
        each = torch.stack([member(images).softmax(1) for member in members])
        mean = ensemble(images)
    assert torch.allclose(mean, each.mean(0))
    metrics = package.evaluate(path)
    right = (mean.argmax(1) == labels).float().mean()
    assert metrics["test/accuracy"] == pytest.approx(float(right))
    export = package.export(path, "torch-export", tmp_path / "folds.pt2")
    assert torch.allclose(torch.export.load(export.path).module()(images), mean, atol=1e-5)


def test_averaged_predictions_tell_how_far_the_models_are_apart(
    toy: Any, done: CrossValidation, tmp_path: Path, zoo: Callable
) -> None:
    import numpy as np

    images, _ = package.create_data("toy-images").samples("test").tensors
    for number in range(3):
        np.save(tmp_path / f"{number}.npy", images[number].numpy())
    (tmp_path / "broken.npy").write_bytes(b"no picture")
    folds = [str(run.path) for run in done.group.runs.values()]
    said = zoo("predict", *folds, tmp_path, "--json", "--batch-size", 2)
    assert said.status == 1  # of the broken file
    found = json.loads(said.out)
    assert [row.get("file", row["name"]) for row in found[:3]] == [
        str(tmp_path / f"{number}.npy") for number in range(3)
    ]
    assert "broken.npy" in found[3]["name"]
    together = package.predict(done.group.path, [tmp_path / "0.npy"])
    assert together.rows[0]["probabilities"] == pytest.approx(found[0]["probabilities"])
    same = package.predict([folds[0], folds[0]], [tmp_path / "0.npy"])
    assert same.rows[0]["disagreement"] == 0
    assert 0 < together.rows[0]["disagreement"] < 1


def test_models_of_other_classes_or_of_none_are_refused(
    toy: Any, done: CrossValidation, tmp_path: Path, zoo: Callable
) -> None:
    fold = done.group.runs["fold-1"].path
    other = package.train(
        "toy/images", {**SHORT, "data.names": ["rows", "stripes"]}, out=tmp_path / "other"
    )
    said = zoo("predict", fold, other.path, tmp_path)
    assert said.status == 2
    assert "models of different classes cannot be averaged" in said.err
    assert "only the first has 'columns', 'checks' and only the second has 'stripes'" in said.err
    said = zoo("predict", fold, other.path / "metrics.json", "--tta")
    assert "says of no changed view of an input" in said.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--folds", "1"], "--folds is 1; it has to be 2 or more"),
        (["--folds", "100"], "--folds is 100, and there are 72 samples"),
        (["--jobs", "-1"], "the number of jobs has to be 1 or more"),
        (["--group-by", "regex:nothing"], "matches nothing in 72 of 72 names"),
        (["--data.split", "all"], "there is no training part to divide"),
        (["--trainer.fast_dev_run", "true"], "trainer.fast_dev_run keeps no run"),
        (["--data", "toy-points"], "cannot be divided into folds: its class does not list"),
    ],
)
def test_what_is_refused_leaves_nothing(
    toy: Any, zoo: Callable, words: list[str], sentence: str
) -> None:
    said = zoo("crossval", "toy/images", *WORDS, "--out", "cv", *words)
    assert (said.status, said.out) == (2, "")
    assert sentence in said.err
    assert not Path("cv").exists()


def _killed_in_the_second(out: Path) -> None:
    original = module.train

    def train(*given: Any, **named: Any) -> Run:
        run = original(*given, **named)
        if run.path.name == "fold-2":
            os.kill(os.getpid(), signal.SIGKILL)
        return run

    module.train = train  # type: ignore[assignment]
    crossval("toy/images", SHORT, folds=3, group_by=r"regex:(patient\d+)", jobs=0, out=out)


def test_one_that_was_killed_ends_as_one_that_was_not(
    toy: Any, done: CrossValidation, tmp_path: Path, zoo: Callable
) -> None:
    out = tmp_path / "killed"
    assert in_a_process(lambda: _killed_in_the_second(out)) == -signal.SIGKILL
    group = open_group(out)
    assert [run.finished for run in group.runs.values()] == [True, True, False]
    assert zoo("test", out).status == 2  # the third is not finished
    with pytest.raises(UsageError, match=r"'trainer.max_epochs' was 1, not 2"):
        crossval("toy/images", {"trainer.max_epochs": 2}, resume=out)
    with pytest.raises(UsageError, match="'--folds' was 3, not 4"):
        crossval("toy/images", folds=4, resume=out)
    resumed = crossval("toy/images", resume=out, jobs=0)
    assert resumed.summary["out_of_fold"] == done.summary["out_of_fold"]
    for name, run in done.group.runs.items():
        weights = "bundle/model.safetensors"
        assert (run.path / weights).read_bytes() == (out / name / weights).read_bytes()
    assert (out / "predictions.csv").read_text() == (
        done.group.path / "predictions.csv"
    ).read_text()


def test_what_cannot_be_begun_or_continued_is_refused(
    toy: Any, done: CrossValidation, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="is a fold of a cross-validation itself"):
        crossval(done.group.runs["fold-1"].recipe_file, folds=3, jobs=0, trust=True)
    with pytest.raises(UsageError, match=r"trainer\.fast_dev_run keeps no run"):
        crossval("toy/images", {**SHORT, "trainer.fast_dev_run": True}, folds=3, jobs=0)
    with pytest.raises(UsageError, match="continues in FOLDER: omit --out"):
        crossval("toy/images", SHORT, resume=done.group.path, out=tmp_path / "other")
    with pytest.raises(UsageError, match="is not a group of runs"):
        crossval("toy/images", SHORT, resume=tmp_path)
    seeds = Group(tmp_path / "seeds", "seeds", "toy/images", {"seed-1": {"seed": 1}})
    create_group(seeds)
    with pytest.raises(UsageError, match="is a group of seeds, not a cross-validation"):
        crossval("toy/images", SHORT, resume=seeds.path)
    assert {path.name for path in tmp_path.iterdir()} <= {"site", "here", "cache", "seeds"}
    assert not Path("runs").exists()


def test_a_finished_one_tells_its_numbers(toy: Any, done: CrossValidation, zoo: Callable) -> None:
    path = done.group.path
    said = zoo("crossval", "toy/images", "--resume", path, "--jobs", 0)
    assert said.status == 0
    assert said.out.startswith("toy/images: 3 of 3 folds\nmetric")
    assert f"out-of-fold accuracy  {done.summary['out_of_fold']['accuracy']:.4f}" in said.out
    assert f"  zoo test {path}\n" in said.out
    said = zoo("crossval", "toy/images", "--resume", path, "--out", "elsewhere")
    assert "--resume FOLDER continues in FOLDER: omit --out" in said.err
    said = zoo("crossval", "toy/images", "--resume", path / "fold-1")
    assert "is not a group of runs" in said.err


def test_a_fold_that_fails_is_told_and_the_others_are_kept(
    toy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = module.train

    def train(recipe: Path, **named: Any) -> Run:
        if recipe.parent.name == "fold-1":
            raise RuntimeError("out of paper")
        return original(recipe, **named)

    monkeypatch.setattr(module, "train", train)
    failed = crossval("toy/images", SHORT, folds=2, jobs=0)
    assert failed.failed == {"fold-1": "RuntimeError: out of paper"}
    assert [row["state"] for row in failed.summary["runs"]] == ["failed", "finished"]
    assert failed.summary["out_of_fold"] == {}
    monkeypatch.setattr(module, "train", original)
    resumed = crossval("toy/images", resume="auto", jobs=0)
    assert resumed.group.path == failed.group.path
    assert not resumed.failed


@pytest.mark.slow
def test_folds_in_processes_of_their_own(toy: Any, done: CrossValidation, python: Callable) -> None:
    words = ["crossval", "toy/images", *WORDS, "--folds", "3", "--jobs", "2", "--out", "cv"]
    said = python("-m", "zoo", *words, "--group-by", r"regex:(patient\d+)", "--json", timeout=900)
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)[0]["out_of_fold"] == done.summary["out_of_fold"]
