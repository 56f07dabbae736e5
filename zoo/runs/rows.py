"""The rows of a comparison: the repetitions of each recipe, and what sets recipes apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from zoo.errors import UsageError
from zoo.runs.curves import Curve, curve, histories
from zoo.runs.pooling import Repetition, differing, flatten, pool, repetition
from zoo.runs.record import RunRecord
from zoo.runs.run import Run
from zoo.runs.summaries import Summary, chosen_by, is_training, summarize

_OF_ENVIRONMENT = ("device", "processes", "precision", "torch_threads", "git")


@dataclass(frozen=True)
class Row:
    """One recipe: its repetitions with several seeds, or folds, together.

    Attributes:
        label: A letter.
        recipe: Name of the recipe.
        changed: What sets it apart from other rows of a recipe of that name: dotted keys to
            values.
        seeds: The seed of each run.
        folds: The fold of each run, from 1; empty where it is not a cross-validation.
        runs: The folders.
        metrics: Metric to its mean over the runs, for those that all of them have.
        monitor: The metric that chose the weights which are kept; None where the last epoch was.
        mode: ``min`` or ``max`` of the monitor.
        target: What the recipe is to reach: metric, value, mode; None without a target.
        met: How many of the runs reached it.
        seconds: Seconds of training, the mean; None where that is lost.
        data: What it was measured on: the dataset and its folder.
        classes: The classes that it tells apart: their names, or how many; None if there are none
            or that is not known.
    """

    label: str
    recipe: str
    changed: Mapping[str, Any]
    seeds: tuple[int, ...]
    folds: tuple[int, ...]
    runs: tuple[str, ...]
    metrics: Mapping[str, Summary]
    monitor: str | None
    mode: str | None
    target: Mapping[str, Any] | None
    met: int
    seconds: float | None
    data: str
    classes: tuple[str, ...] | int | None

    @property
    def title(self) -> str:
        """The recipe and what was changed in it."""
        changed = ", ".join(f"{key}={value}" for key, value in self.changed.items())
        return f"{self.recipe} ({changed})" if changed else self.recipe

    @property
    def task(self) -> str:
        """What it was measured on, in words."""
        if not self.classes:
            return self.data
        if isinstance(self.classes, int):
            return f"{self.data}, {self.classes} classes"
        names = ", ".join(self.classes[:4]) + (", ..." if len(self.classes) > 4 else "")
        return f"{self.data}, {len(self.classes)} classes: {names}"

    @property
    def measured(self) -> set[str]:
        """Its metrics but those of training."""
        return {name for name in self.metrics if not is_training(name)}


@dataclass(frozen=True)
class Pool:
    """A row, and the runs that it is made of."""

    row: Row
    repetitions: tuple[Repetition, ...]

    @property
    def settings(self) -> Mapping[str, Any]:
        """The recipe that they have in common, flat."""
        return self.repetitions[0].settings

    @property
    def environment(self) -> dict[str, str]:
        """Versions, hardware and devices, those of several runs joined where they differ."""
        flat = [_environment(each.run.environment) for each in self.repetitions]
        keys = dict.fromkeys(key for each in flat for key in each)
        return {key: ", ".join(dict.fromkeys(e[key] for e in flat if key in e)) for key in keys}

    def curves(self, metrics: Sequence[str]) -> tuple[list[Curve], list[str]]:
        """The metrics over time, and what is wrong with the files they come from."""
        unit, points, faults = histories([Run(each.run.path) for each in self.repetitions])
        found = (curve(name, unit, points) for name in metrics)
        return [each for each in found if each is not None], faults


def make_pools(records: Sequence[RunRecord]) -> tuple[list[Pool], list[str]]:
    """Rows of the runs that came to their end.

    Returns:
        The rows in the order of their first runs, and sentences about runs that are not counted.
    """
    notes: list[str] = []
    found: list[Repetition] = []
    for record in records:
        reason = _why_left_out(record)
        try:
            if not reason:
                found.append(repetition(record))
        except UsageError as error:
            reason = str(error)
        if reason:
            notes.append(f"{record.path} is left out: {reason}")
        elif record.state == "fast":
            notes.append(f"{record.path} was trained or tested on a part of the batches")
    pools = [_pool(_once(each, notes)) for each in pool(found)]
    return [replace(each, row=_with_changes(each, pools)) for each in pools], notes


def _why_left_out(record: RunRecord) -> str:
    if not record.measured:
        state = {"waiting": "not begun"}.get(record.state, record.state)
        return f"{state}: {record.problem}" if record.problem else state
    return "" if record.metrics else "it has no metrics"


def _once(repetitions: Sequence[Repetition], notes: list[str]) -> list[Repetition]:
    """Each seed and fold once: the same run a second time says nothing new."""
    found: dict[tuple[int, int | None], Repetition] = {}
    for each in sorted(repetitions, key=lambda each: each.run.moment or 0.0):
        if each.which in found:
            before = found[each.which].run.path
            notes.append(
                f"{before} is left out: {each.run.path} is newer and has the same recipe and seed"
            )
        found[each.which] = each
    return sorted(found.values(), key=lambda each: (each.which[0], each.which[1] or 0))


def _pool(repetitions: Sequence[Repetition]) -> Pool:
    runs = [each.run for each in repetitions]
    settings = repetitions[0].settings
    names = set(runs[0].metrics).intersection(*(run.metrics for run in runs))
    seconds = [run.seconds for run in runs if run.seconds is not None]
    chosen = {chosen_by(each.settings, each.run.environment) for each in repetitions}
    monitor, mode = (next(iter(chosen)) if len(chosen) == 1 else None) or (None, None)
    target = runs[0].target
    row = Row(
        "",
        runs[0].recipe,
        {},
        tuple(each.which[0] for each in repetitions),
        tuple(each.which[1] for each in repetitions if each.which[1] is not None),
        tuple(str(run.path) for run in runs),
        {name: summarize([run.metrics[name] for run in runs]) for name in sorted(names)},
        monitor,
        mode,
        {"metric": target.metric, "value": target.value, "mode": target.mode} if target else None,
        sum(run.met is True for run in runs),
        fmean(seconds) if seconds else None,
        " in ".join(
            str(each) for each in (settings["data.name"], settings.get("data.root")) if each
        ),
        repetitions[0].classes,
    )
    return Pool(row, tuple(repetitions))


def _with_changes(pool: Pool, pools: Sequence[Pool]) -> Row:
    """Its row with what sets it apart from those of the same name."""
    alike = [each for each in pools if each.row.recipe == pool.row.recipe]
    keys = differing([each.settings for each in alike])
    return replace(pool.row, changed={key: pool.settings.get(key) for key in keys})


def _environment(environment: Mapping[str, Any]) -> dict[str, str]:
    found = {name: environment[name] for name in _OF_ENVIRONMENT if name in environment}
    versions, hardware = environment.get("versions"), environment.get("hardware")
    if isinstance(versions, Mapping):
        found |= flatten(versions, "versions.")
    if isinstance(hardware, Mapping):
        found |= flatten(hardware, "hardware.")
    return {key: str(value) for key, value in found.items()}
