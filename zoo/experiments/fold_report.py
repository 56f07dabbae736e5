"""What the folds of a cross-validation say together: out-of-fold predictions, pooled metrics, means
over folds, as plain files in the folder of the group."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from zoo.errors import UsageError
from zoo.experiments.fold_groups import groups_of
from zoo.inference.evaluate import SETTINGS, Measured, prepare
from zoo.inference.given_probabilities import Batches, measure_by, require_tester
from zoo.inference.rows import to_csv
from zoo.io.atomic import write_atomically
from zoo.io.plain_json import to_json
from zoo.io.rank_zero import rank_zero_print
from zoo.plugin.folds import Fold, FoldSamples
from zoo.plugin.protocols import Foldable, ProbabilityTester, offers
from zoo.recipes.signatures import instantiate
from zoo.recipes.trainer import Trainer
from zoo.registry.registry import registry
from zoo.report.group_report import write_group_report
from zoo.runs.group import Group
from zoo.runs.run import Run

FOLDS = "folds.csv"
SUMMARY = "summary.json"
PREDICTIONS = "predictions.csv"
_MACHINE = tuple({"accelerator", "precision", "deterministic", "tf32"} & set(SETTINGS))
_TEST = "test/"


def write_folds(
    path: Path, samples: FoldSamples, folds: Sequence[Fold], group_by: str | None
) -> None:
    """Write which fold holds out each sample, with its class and group."""
    number = {index: fold.number for fold in folds for index in fold.val}
    groups = groups_of(samples, group_by)
    rows = []
    for index, name in enumerate(samples.names):
        row: dict[str, Any] = {"sample": name}
        if samples.classes is not None:
            row["class"] = samples.classes[index]
        if groups is not None:
            row["group"] = groups[index]
        rows.append({**row, "fold": number[index]})
    write_atomically(path, _table(rows).encode("utf-8", "backslashreplace"))


def report_folds(group: Group, failed: Mapping[str, str]) -> dict[str, Any]:
    """Write ``predictions.csv``, ``summary.json`` and ``summary.csv`` of the folds that finished.

    Args:
        group: The folds.
        failed: Those that failed, with the reason.

    Returns:
        What ``summary.json`` holds: the pooled out-of-fold metrics, each metric's mean and standard
        deviation over folds, and a row for each fold.
    """
    done = {name: run for name, run in group.runs.items() if run.finished}
    rows = [_row(group, name, failed.get(name, "")) for name in group.members]
    summary: dict[str, Any] = {
        "kind": group.kind,
        "recipe": group.recipe,
        "folds": len(group.members),
        "finished": len(done),
        **{key: value for key, value in group.settings.items() if key != "recipe"},
        "chosen_by": _chosen_by(done.values()),
        "out_of_fold": _out_of_fold(group, done) if done and not failed else {},
        "over_folds": _over_folds([run.metrics for run in done.values()]),
        "runs": rows,
    }
    write_atomically(group.path / SUMMARY, (to_json(summary, sort_keys=False) + "\n").encode())
    write_atomically(group.path / "summary.csv", _table(rows).encode())
    write_group_report(group, tuple(_notes(summary, failed)))
    return summary


def _notes(summary: Mapping[str, Any], failed: Mapping[str, str]) -> Iterable[str]:
    """Sentences for the page: what failed, and the metrics of all folds together."""
    yield from (f"{name} failed: {reason}" for name, reason in failed.items())
    pooled = {k: v for k, v in summary["out_of_fold"].items() if isinstance(v, int | float)}
    if pooled:
        shown = ", ".join(f"{name} {value:.4g}" for name, value in pooled.items())
        yield f"Out of fold, every sample predicted by the fold that holds it out: {shown}."
    for name, values in summary["over_folds"].items():
        if name.startswith(_TEST):
            yield f"{name}: {values['mean']:.4g} on average of {values['n']} folds."


def _row(group: Group, name: str, failure: str) -> dict[str, Any]:
    run, fold = group.runs[name], Fold.read(group.members[name]["fold"])
    state = "finished" if run.finished else "failed" if failure else "unfinished"
    seconds = run.environment.get("fit_seconds")
    row: dict[str, Any] = {"fold": name, "state": state, "trained_on": fold.samples - len(fold.val)}
    row |= {"validated_on": len(fold.val), "fit_seconds": seconds}
    if failure:
        row["reason"] = failure
    return {**row, **(dict(run.metrics) if run.finished else {})}


def _chosen_by(runs: Iterable[Run]) -> str | None:
    """The metric by which folds chose their best epoch; out-of-fold metrics are too good then."""
    monitors = {run.environment.get("monitor") for run in runs} - {None}
    if not monitors:
        return None
    named = ", ".join(sorted(map(str, monitors)))
    if any(not name.startswith("train") for name in named.split(", ")):
        rank_zero_print(
            f"each fold's epoch was chosen by {named} on what the fold holds out: its out-of-fold "
            "metrics are better than they would be on other data; those of the test part are not"
        )
    return named


def _over_folds(metrics: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation (of n - 1) over folds, of what every fold measured."""
    names = sorted(set.intersection(*(set(each) for each in metrics))) if metrics else []
    found = {}
    for name in names:
        values = [each[name] for each in metrics]
        mean = sum(values) / len(values)
        spread = sum((value - mean) ** 2 for value in values) / max(len(values) - 1, 1)
        found[name] = {"mean": mean, "std": math.sqrt(spread), "n": len(values)}
    return found


def _out_of_fold(group: Group, runs: Mapping[str, Run]) -> dict[str, float]:
    """Write what each model says of what it was not trained on.

    Returns:
        The metrics of all these together; empty for models that cannot be tested by given
        probabilities.
    """
    model = registry().load(registry().model(next(iter(runs.values())).recipe.model_name).entry)
    if not offers(model, ProbabilityTester):
        rank_zero_print(
            f"{model.__name__} cannot be tested by given probabilities (measure_probabilities): "
            "the folds have their own metrics, and none together"
        )
        return {}
    members = _Members(runs)
    lead = members.get(0)
    batches = Batches([partial(members.held_out, number) for number in range(len(runs))])
    rows: list[dict[str, Any]] = []

    def give(batch: Any, batch_idx: int) -> Tensor:
        measured = members.get(batches.loader_of(batch_idx))
        model = measured.model.to(lead.model.device)
        return require_tester(model, measured.name).predict_step(batch, batch_idx)

    settings = {**instantiate(Trainer, lead.experiment.recipe.trainer), "devices": 1}
    seed = lead.experiment.recipe.seed
    metrics = measure_by(lead.model, batches, give, settings, seed, rows)
    named = [
        {"sample": name, "fold": number, **row}
        for (name, number), row in zip(members.samples, rows, strict=True)
    ]
    write_atomically(
        group.path / PREDICTIONS, to_csv(named, "sample").encode("utf-8", "backslashreplace")
    )
    return {name.removeprefix(_TEST): value for name, value in metrics.items()}


class _Members:
    """The folds' models and data, at most two of them in memory at a time beside the first.

    Args:
        runs: Finished ones.
    """

    def __init__(self, runs: Mapping[str, Run]) -> None:
        self._runs = list(runs.values())
        self._made: dict[int, Measured] = {}
        self.samples: list[tuple[str, int]] = []
        """Name and fold of each sample that was given, in order."""

    def get(self, number: int) -> Measured:
        """The model of a fold, and its data."""
        if number not in self._made:
            for other in [each for each in self._made if 0 < each < number - 1]:
                del self._made[other]
            run = self._runs[number]
            settings = {f"trainer.{k}": v for k, v in run.recipe.trainer.items() if k in _MACHINE}
            self._made[number] = prepare(run.path, settings)
        return self._made[number]

    def held_out(self, number: int) -> Any:
        """The batches of what a fold holds out."""
        data = self.get(number).data
        fold = Fold.read(self._runs[number].recipe.fold)
        data.setup("fit")
        assert isinstance(data, Foldable)
        names = data.fold_samples().names
        self.samples += [(names[index], fold.number) for index in fold.val]
        loaders = data.val_dataloader()
        if isinstance(loaders, list):
            if len(loaders) != 1:
                raise UsageError(
                    f"the data {self._runs[number].recipe.data_name!r} have {len(loaders)} "
                    "validation loaders; out-of-fold metrics are of one"
                )
            return loaders[0]
        return loaders


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
