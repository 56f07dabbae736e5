"""Curves of repetitions: the mean of the seeds and their band, against one x axis."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeVar

from zoo.runs.history import Row, counters_of_rows, read_history, series
from zoo.runs.run import Run

Point = tuple[float, float]
_Value = TypeVar("_Value")
_MOST_POINTS = 200


@dataclass(frozen=True)
class Curve:
    """One metric of the repetitions of one recipe over time.

    Attributes:
        metric: Its name.
        unit: What x counts: ``epoch``, or the learner's own counter, such as
            ``environment_steps``.
        x: Where all repetitions have values, ascending.
        mean: Of the repetitions, at each x; between two of a run's points on the line that joins
            them.
        low: The least of them.
        high: The most of them.
        runs: The points (x, value) of every repetition, also beyond what all have.
    """

    metric: str
    unit: str
    x: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    runs: tuple[tuple[Point, ...], ...]


def histories(runs: Sequence[Run]) -> tuple[str, list[dict[str, list[Point]]], list[str]]:
    """What runs logged over time.

    Returns:
        What x counts, the points of every metric of each run, and what is wrong with their files.
    """
    tables: list[list[Row]] = []
    faults = []
    for run in runs:
        try:
            rows, fault = read_history(run.metrics_csv)
        except OSError as error:
            rows, fault = [], str(error.strerror)
        if fault:
            faults.append(f"{run.metrics_csv} is damaged ({fault}): its curves end before")
        tables.append(rows)
    counted = [counters_of_rows(rows) for rows in tables if rows]
    counters = counted[0] if counted and all(each == counted[0] for each in counted) else []
    unit = counters[0] if counters else "epoch"
    return unit, [series(rows, counters) for rows in tables], faults


def curve(metric: str, unit: str, points: Sequence[Mapping[str, Sequence[Point]]]) -> Curve | None:
    """The curve of one metric.

    Args:
        metric: Its name.
        unit: What x counts.
        points: Of each run, the points of every metric.

    Returns:
        None where no run has the metric.
    """
    lines = [sorted(dict(each[metric]).items()) for each in points if each.get(metric)]
    if not lines:
        return None
    first, last = max(line[0][0] for line in lines), min(line[-1][0] for line in lines)
    known = sorted({x for line in lines for x, _ in line if first <= x <= last})
    x = _thinned(known)
    columns = [[_at(line, each) for line in lines] for each in x]
    return Curve(
        metric,
        unit,
        tuple(x),
        tuple(fmean(values) for values in columns),
        tuple(min(values) for values in columns),
        tuple(max(values) for values in columns),
        tuple(tuple(_thinned(line)) for line in lines),
    )


def _at(line: Sequence[Point], x: float) -> float:
    """The value at x, which lies within the line."""
    place = bisect_left(line, x, key=lambda point: point[0])
    above = line[place]
    if above[0] == x:
        return above[1]
    below = line[place - 1]
    share = (x - below[0]) / (above[0] - below[0])
    return below[1] + share * (above[1] - below[1])


def _thinned(values: list[_Value]) -> list[_Value]:
    if len(values) <= _MOST_POINTS:
        return values
    step = (len(values) - 1) / (_MOST_POINTS - 1)
    return [values[round(number * step)] for number in range(_MOST_POINTS)]
