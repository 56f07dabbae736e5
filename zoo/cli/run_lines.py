"""Runs as lines: short ones for a terminal, whole ones for a file."""

from __future__ import annotations

import datetime
import itertools
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from zoo.cli.output import heading, table, wrap
from zoo.io.printable import printable
from zoo.runs.group import Group
from zoo.runs.listing import OF_RUNS
from zoo.runs.record import RunRecord
from zoo.runs.target import Target

_WORDS = {"seeds": "seeds", "crossval": "folds", "sweep": "trials"}
"""What the members of a kind of group are called."""


@dataclass(frozen=True)
class _Line:
    """A run, or a group that stands for its runs."""

    recipe: str
    path: Path
    state: str
    value: float | None
    of: str
    met: str
    seconds: float | None
    device: str
    moment: float | None
    target: Target | None
    problems: Sequence[str]


def brief(
    runs: Sequence[RunRecord], groups: Mapping[Path, Group], folder: Path, by: str | None
) -> list[str]:
    """Lines no wider than the terminal, under the names of their recipes; under each other where
    they are put in order.

    Args:
        runs: The runs.
        groups: Those that are shown as one line.
        folder: Where all of them lie.
        by: A metric to show instead of the target's.
    """
    metric = None if by in OF_RUNS else by
    lines = _lines(runs, groups, metric)
    if by:
        return [heading(f"by {by}"), *_table(lines, folder, named=True)]
    found = []
    for recipe, of_recipe in itertools.groupby(lines, key=lambda line: line.recipe):
        members = list(of_recipe)
        target = next((line.target for line in members if line.target), None)
        goal = f"  {_goal(target)}" if target else ""
        found += [heading(recipe or "(recipe not known)") + goal, *_table(members, folder)]
    return found


def full(runs: Sequence[RunRecord], groups: Mapping[Path, Group]) -> list[dict[str, Any]]:
    """A row a run or group, with nothing cut."""
    return [
        {
            "run": str(line.path),
            "recipe": line.recipe,
            "state": line.state,
            "target": _goal(line.target) if line.target else "",
            "value": line.value,
            "": f"{line.of} {line.met}".strip(),
            "seconds": line.seconds,
            "device": line.device,
            "started": _when(line.moment, seconds=True),
            "problem": "; ".join(line.problems),
        }
        for line in _lines(runs, groups, None)
    ]


def _lines(
    runs: Sequence[RunRecord], groups: Mapping[Path, Group], metric: str | None
) -> list[_Line]:
    found, seen = [], set()
    for run in runs:
        group = groups.get(run.group) if run.group else None
        if group is None:
            found.append(_of_run(run, metric))
        elif group.path not in seen:
            seen.add(group.path)
            found.append(_of_group(group, [each for each in runs if each.group == group.path]))
    return found


def _of_run(run: RunRecord, metric: str | None) -> _Line:
    value = run.metrics.get(metric) if metric else run.value
    met = {True: "met", False: "not met", None: ""}[None if metric else run.met]
    return _Line(
        run.recipe,
        run.path,
        run.state,
        value,
        "",
        met,
        run.seconds,
        run.device,
        run.moment,
        run.target,
        [run.problem] if run.problem else [],
    )


def _of_group(group: Group, runs: Sequence[RunRecord]) -> _Line:
    done = [run for run in runs if run.measured]
    target = next((run.target for run in done if run.target), None)
    values = [run.value for run in done if run.value is not None]
    met = [run.met for run in done if run.met is not None]
    seconds = [run.seconds for run in runs if run.seconds is not None]
    moments = [run.moment for run in runs if run.moment is not None]
    states = Counter(run.state for run in runs if not run.measured)
    left = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return _Line(
        group.recipe,
        group.path,
        f"{len(done)}/{len(runs)} {_WORDS[group.kind]}",
        fmean(values) if values else None,
        "mean" if values else "",
        f"{sum(met)}/{len(met)} met" if met else "",
        sum(seconds) if seconds else None,
        ", ".join(sorted({run.device for run in runs if run.device})),
        min(moments, default=None),
        target,
        [left] if left else [],
    )


def _table(lines: Sequence[_Line], folder: Path, named: bool = False) -> list[str]:
    cells = [
        [
            _name(line, folder, named),
            line.state,
            "" if line.value is None else f"{line.value:.4g}",
            f"{line.of} {line.met}".strip(),
            _duration(line.seconds),
            line.device,
            _when(line.moment),
        ]
        for line in lines
    ]
    found = []
    for line, text in zip(lines, table(cells, shorten=0, indent=2), strict=True):
        found.append(printable(text))
        found += [wrap(printable(" ".join(each.split())), 4, 6) for each in line.problems]
    return found


def _name(line: _Line, folder: Path, named: bool) -> str:
    """The path within the folder; under the name of its recipe without that."""
    path = os.path.relpath(line.path, folder)
    if path == ".":
        path = str(line.path)
    return path if named else path.removeprefix(f"{line.recipe}/")


def _goal(target: Target) -> str:
    return f"{target.metric} {'<=' if target.mode == 'min' else '>='} {target.value:g}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d}"


def _when(moment: float | None, seconds: bool = False) -> str:
    """In local time."""
    if moment is None:
        return ""
    time = datetime.datetime.fromtimestamp(moment)
    return time.isoformat(" ", "seconds") if seconds else time.strftime("%m-%d %H:%M")
