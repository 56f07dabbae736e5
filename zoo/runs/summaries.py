"""Metrics of repetitions: which there are, and what a few seeds say of each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from zoo.runs.record import RunRecord
from zoo.runs.statistics import bootstrap_interval, difference_interval

_OF_TRAINING = ("train/", "train_")
_OF_VALIDATION = ("val/", "val_", "valid_")


@dataclass(frozen=True)
class Summary:
    """One metric of the repetitions of one recipe.

    Attributes:
        n: How many repetitions.
        mean: Of them.
        low: The lower end of the interval of the mean; None for one repetition.
        high: The upper end.
        std: The standard deviation of the repetitions; None for one.
        values: Of each, in the order of the row's runs.
    """

    n: int
    mean: float
    low: float | None
    high: float | None
    std: float | None
    values: tuple[float, ...]


@dataclass(frozen=True)
class Difference:
    """One metric of two rows.

    Attributes:
        metric: Its name.
        one: Label of a row.
        other: Label of the row whose mean is subtracted.
        difference: Of the means.
        low: The lower end of Welch's interval of the difference; None where one of them has a
            single seed.
        high: The upper end.
        beyond_seeds: Whether the interval leaves zero out; None where nothing can be told.
    """

    metric: str
    one: str
    other: str
    difference: float
    low: float | None
    high: float | None
    beyond_seeds: bool | None


def summarize(values: Sequence[float]) -> Summary:
    """What the values of a metric, one a repetition, say. Where one of them is not a number, the
    mean is none either, and nothing is told of its interval."""
    if not all(map(math.isfinite, values)):
        return Summary(len(values), math.nan, None, None, None, tuple(values))
    low, high = bootstrap_interval(values) or (None, None)
    spread = stdev(values) if len(values) > 1 else None
    return Summary(len(values), fmean(values), low, high, spread, tuple(values))


def compare_two(metric: str, labels: tuple[str, str], one: Summary, other: Summary) -> Difference:
    """Whether a metric of two rows differs by more than the seeds make."""
    known = math.isfinite(one.mean) and math.isfinite(other.mean)
    found = difference_interval(one.values, other.values) if known else None
    if found is None:
        return Difference(metric, *labels, one.mean - other.mean, None, None, None)
    difference, low, high = found
    return Difference(metric, *labels, difference, low, high, not low <= 0 <= high)


def is_training(name: str) -> bool:
    """Whether a metric is of the training part."""
    return name.startswith(_OF_TRAINING)


def is_validation(name: str) -> bool:
    """Whether a metric is of the validation part, so that a choice may be made by it."""
    return name.startswith(_OF_VALIDATION)


def counts_of(runs: Sequence[RunRecord]) -> set[str]:
    """The names of what the learner counted, such as ``environment_steps``: whole numbers."""
    names = {name for run in runs for name in run.metrics}
    return {
        name
        for name in names
        if "/" not in name and all(isinstance(run.metrics.get(name, 0), int) for run in runs)
    }


def chosen_by(
    settings: Mapping[str, Any], environment: Mapping[str, Any]
) -> tuple[str, str] | None:
    """The metric that chose the weights which a run kept, and ``min`` or ``max``.

    Args:
        settings: The run's recipe, flat.
        environment: Of the run.

    Returns:
        None where the last epoch was kept.
    """
    monitor = environment.get("monitor")
    callbacks = settings.get("trainer.callbacks")
    for each in callbacks if isinstance(callbacks, list) else []:
        arguments = each.get("init_args") if isinstance(each, dict) else None
        if not isinstance(arguments, dict) or "Checkpoint" not in str(each.get("class_path")):
            continue
        if monitor and arguments.get("monitor") == monitor:
            return str(monitor), str(arguments.get("mode", "min"))  # Lightning's default
    return None
