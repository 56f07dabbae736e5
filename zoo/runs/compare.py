"""``zoo.compare``: experiments side by side, each the mean of its seeds.

    gather the runs; those that did not come to an end are left out, and that is said
    runs of one recipe and several seeds are one row (zoo.runs.pooling)
    of every metric that all rows have: mean, interval, n (zoo.runs.summaries)
    of every two rows: is the difference more than the seeds make?

What is measured on the test part stands apart, and no order comes from it unless asked for.
"""

from __future__ import annotations

import math
import string
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from zoo.errors import UsageError, nearest
from zoo.runs.curves import Curve
from zoo.runs.gathering import gather
from zoo.runs.pooling import differing
from zoo.runs.record import RunRecord
from zoo.runs.rows import Pool, Row, make_pools
from zoo.runs.statistics import METHOD
from zoo.runs.summaries import (
    Difference,
    compare_two,
    counts_of,
    is_training,
    is_validation,
)
from zoo.runs.target import mode_of


@dataclass(frozen=True)
class Comparison:
    """Rows of runs side by side, plain values all through.

    Attributes:
        rows: One a recipe, in ``order``.
        order: What the rows are put in order by, a sentence.
        validation: The metrics of the validation part that are compared; those of training where
            they were asked for or there are no others.
        test: The metrics of the test part, and those whose names say no part.
        counts: What the learners count, such as ``environment_steps``.
        differences: Of every two rows and every metric.
        recipes: The keys of the recipes that differ, each with the value by label.
        environments: The versions, devices and the like that differ, each by label; several values
            within a row are joined.
        curves: By label, the validation metrics over time.
        notes: What was left out, counted once, or does not fit together; sentences.
        method: How the intervals were made.
    """

    rows: tuple[Row, ...]
    order: str
    validation: tuple[str, ...]
    test: tuple[str, ...]
    counts: tuple[str, ...]
    differences: tuple[Difference, ...]
    recipes: Mapping[str, Mapping[str, Any]]
    environments: Mapping[str, Mapping[str, str]]
    curves: Mapping[str, tuple[Curve, ...]]
    notes: tuple[str, ...]
    method: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def compare(
    runs: Sequence[str | Path], metrics: Sequence[str] = (), sort: str | None = None
) -> Comparison:
    """Runs side by side; those of one recipe and several seeds are one row.

    Args:
        runs: Folders: runs, groups of runs, or folders that hold runs at any depth.
        metrics: Those to compare; all that every row has by default.
        sort: A metric to put the rows in order by, the best first. By default that by which all of
            them chose the weights they kept, and the order given if there is none.

    Returns:
        The comparison; ``zoo.report.comparison.write_comparison`` writes it.

    Raises:
        UsageError: a folder has no runs, none of them is finished, they have no metric in common,
            or none has a metric that was asked for.
    """
    records, notes = gather(runs)
    pools, left_out = make_pools(records)
    if not pools:
        raise UsageError(_nothing_finished(records))
    counted = counts_of(records)
    names, more = _metrics([each.row for each in pools], metrics, counted)
    pools, order = _in_order(pools, sort)
    labels = _labels(len(pools))
    rows = [replace(each.row, label=label) for each, label in zip(pools, labels, strict=True)]
    counts = counted & set(names)
    validation = [name for name in names if is_validation(name) or is_training(name)]
    rest = [name for name in names if name not in validation and name not in counts]
    curves, faults = _curves(pools, validation)
    return Comparison(
        tuple(rows),
        order,
        tuple(validation),
        tuple(rest),
        tuple(name for name in names if name in counts),
        tuple(_differences(rows, [*validation, *rest])),
        _by_label(labels, differing([each.settings for each in pools])),
        _environments(pools, labels),
        dict(zip(labels, curves, strict=True)),
        (*notes, *left_out, *more, *_not_numbers(rows, names), *_different_tasks(rows), *faults),
        METHOD,
    )


def _curves(
    pools: Sequence[Pool], metrics: Sequence[str]
) -> tuple[list[tuple[Curve, ...]], list[str]]:
    """The curves of each, and what is wrong with the files they come from."""
    found = [each.curves(metrics) for each in pools]
    return [tuple(curves) for curves, _ in found], [fault for _, each in found for fault in each]


def _environments(pools: Sequence[Pool], labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What differs between the rows, or within one."""
    flat = [each.environment for each in pools]
    apart = _by_label(labels, differing(flat))
    within = {key for each in flat for key, value in each.items() if ", " in value}
    known = {key: [each.get(key) for each in flat] for key in within if key not in apart}
    return {**apart, **_by_label(labels, known)}


def _metrics(
    rows: Sequence[Row], asked: Sequence[str], counted: set[str]
) -> tuple[list[str], list[str]]:
    """The names to compare, and sentences about those that are not."""
    everywhere = set(rows[0].metrics).intersection(*(row.metrics for row in rows))
    anywhere = {name for row in rows for name in row.metrics}
    if asked:
        for name in asked:
            if name not in anywhere:
                near = nearest(name, sorted(anywhere), 1)
                hint = f"did you mean {near}?" if near else f"they have {_listed(anywhere)}"
                raise UsageError(f"no run here has the metric {name!r}: {hint}")
        return list(dict.fromkeys(asked)), []
    if not {name for name in everywhere - counted if not is_training(name)} and len(rows) > 1:
        _refuse(rows, counted)
    chosen = {name for name in everywhere if not is_training(name)} or everywhere
    lacking = sorted(name for name in anywhere - everywhere if not is_training(name))
    notes = [
        f"{name} is left out: {_and(row.title for row in rows if name not in row.metrics)} "
        "did not measure it"
        for name in lacking[:6]
    ]
    if len(lacking) > 6:
        notes.append(f"{len(lacking) - 6} more metrics are left out, which not all measured")
    return sorted(chosen), notes


def _refuse(rows: Sequence[Row], counted: set[str]) -> None:
    first, *others = rows
    for other in others:
        if not first.measured & other.measured - counted:
            one, another = (_listed(row.measured - counted) for row in (first, other))
            raise UsageError(
                f"{first.title} and {other.title} measured nothing in common: the one has {one}, "
                f"the other {another}; compare them with runs of their own kind"
            )
    raise UsageError(
        f"no metric was measured by all of {_and(row.title for row in rows)}: compare fewer of "
        "them at once, or name metrics with --metric"
    )


def _in_order(pools: list[Pool], sort: str | None) -> tuple[list[Pool], str]:
    """The pools in an order, and what that is."""
    chosen = {(each.row.monitor, each.row.mode) for each in pools}
    monitor, mode = next(iter(chosen)) if len(chosen) == 1 else (None, None)
    name = monitor if sort is None else sort
    if name is None or (sort is None and not is_validation(name)):
        return pools, "in the order given: no validation metric chose all the weights"
    way = mode if name == monitor else mode_of(name)
    known = [each for each in pools if name in each.row.metrics]
    if not known:
        raise UsageError(f"no run here has the metric {name!r}, which --sort asks for")
    rest = [each for each in pools if each not in known]
    sign = -1.0 if way == "max" else 1.0
    known.sort(key=lambda each: _last_if_nan(sign * each.row.metrics[name].mean))
    order = f"by {name}, the {'least' if way == 'min' else 'most'} first"
    if not is_validation(name) and not is_training(name):
        order += "; to choose by it would make the test part a part of the training"
    return [*known, *rest], order


def _last_if_nan(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _differences(rows: Sequence[Row], names: Sequence[str]) -> list[Difference]:
    return [
        compare_two(name, (one.label, other.label), one.metrics[name], other.metrics[name])
        for name in names
        for one, other in combinations(rows, 2)
        if name in one.metrics and name in other.metrics and _alike(one, other)
    ]


def _not_numbers(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    """Sentences about runs whose metrics are not finite, so that no mean is told."""
    return [
        f"{name} of {path} is not a number, so {row.label} has no mean of it"
        for row in rows
        for name in names
        if name in row.metrics
        for path, value in zip(row.runs, row.metrics[name].values, strict=True)
        if not math.isfinite(value)
    ]


def _alike(one: Row, other: Row) -> bool:
    """Whether they were measured on the same data and classes."""
    return (one.data, one.classes) == (other.data, other.classes)


def _different_tasks(rows: Sequence[Row]) -> list[str]:
    """Sentences about rows that were measured on other data or classes."""
    notes = []
    first = rows[0]
    for other in rows[1:]:
        if not _alike(first, other):
            notes.append(
                f"{first.label} and {other.label} are not measured on the same data "
                f"({first.task}; {other.task}): no difference of theirs is of the models alone"
            )
    return notes


def _by_label(
    labels: Sequence[str], found: Mapping[str, Sequence[Any]]
) -> dict[str, dict[str, Any]]:
    return {key: dict(zip(labels, values, strict=True)) for key, values in found.items()}


def _labels(count: int) -> list[str]:
    """A to Z, then A1 to Z1."""
    letters = string.ascii_uppercase
    return [f"{letters[n % 26]}{n // 26 or ''}" for n in range(count)]


def _nothing_finished(records: Sequence[RunRecord]) -> str:
    states: dict[str, int] = {}
    for record in records:
        state = "without metrics" if record.measured else record.state
        states[state] = states.get(state, 0) + 1
    found = ", ".join(f"{count} {state}" for state, count in states.items())
    return f"none of the runs has come to its end with metrics ({found}): see `zoo runs`"


def _listed(names: set[str]) -> str:
    shown = sorted(names)
    more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
    return (", ".join(shown[:5]) or "none") + more


def _and(titles: Any) -> str:
    return " and ".join(dict.fromkeys(titles))
