"""The runs under a folder, at any depth, and the groups they belong to."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from zoo.errors import UsageError, nearest
from zoo.io.failures import system_failure
from zoo.runs.group import FILE, Group, open_group
from zoo.runs.record import STATES, RunRecord, read_record
from zoo.runs.run import RUNS
from zoo.runs.target import mode_of

OF_RUNS = ("when", "time")
"""What runs are put in order by, besides their metrics."""
_RUN = "recipe.yaml"
_MARKS = {"environment.json", "metrics.json", "checkpoints"}
"""Two of these in a folder without a recipe are what is left of a run."""


@dataclass(frozen=True)
class Found:
    """What lies under a folder.

    Attributes:
        runs: Every run, those of groups included.
        groups: The groups by their folder.
    """

    runs: list[RunRecord] = field(default_factory=list)
    groups: dict[Path, Group] = field(default_factory=dict)

    def members(self, group: Path) -> list[RunRecord]:
        """The runs of a group, in its order."""
        return [run for run in self.runs if run.group == group]


def list_runs(
    folder: str | Path = RUNS, recipe: str = "*", state: str | None = None
) -> list[RunRecord]:
    """The runs under a folder, those in groups included.

    Args:
        folder: Where to look, at any depth; a run or a group stands for itself.
        recipe: Pattern of the recipe's name, such as ``vision/*``.
        state: One of ``running``, ``finished``, ``fast`` (finished on a part of the batches),
            ``interrupted``, ``failed``, ``waiting`` (a member of a group that has not begun),
            ``damaged``; None for all.

    Returns:
        By recipe, then by when they began.

    Raises:
        UsageError: there is no such folder or state.
    """
    return select(find_runs(folder).runs, recipe, state)


def select(
    runs: Sequence[RunRecord], recipe: str = "*", state: str | None = None
) -> list[RunRecord]:
    """Those of the runs that fit a pattern of their recipe's name, and are of a state.

    Raises:
        UsageError: there is no such state.
    """
    if state is not None and state not in STATES:
        near = nearest(state, STATES, 1)
        hint = f"did you mean {near}?" if near else f"the states are {', '.join(STATES)}"
        raise UsageError(f"{state!r} is not a state of a run: {hint}")
    return [run for run in runs if fnmatchcase(run.recipe, recipe) and state in (None, run.state)]


def ordered(runs: Sequence[RunRecord], by: str) -> list[RunRecord]:
    """The runs in an order; those that do not have what is asked for come last.

    Args:
        runs: The runs.
        by: A metric, of which the best comes first; ``when``, the newest first; ``time``, the
            longest first.

    Raises:
        UsageError: no run has that metric.
    """
    known = {name for run in runs for name in run.metrics}
    if runs and by not in (*OF_RUNS, *known):
        near = nearest(by, [*known, *OF_RUNS], 1)
        hint = f"did you mean {near}?" if near else f"they have {', '.join(sorted(known)[:6])}"
        raise UsageError(f"no run here has the metric {by!r}: {hint}")
    lowest_first = by not in OF_RUNS and mode_of(by) == "min"

    def key(run: RunRecord) -> tuple[bool, float]:
        value = run.metrics.get(by)
        if by in OF_RUNS:
            value = run.moment if by == "when" else run.seconds
        if value is None or math.isnan(value):
            return True, 0.0
        return False, value if lowest_first else -value

    return sorted(runs, key=key)


def find_runs(folder: str | Path = RUNS) -> Found:
    """The runs under a folder with their groups; a damaged one is among them, with the reason.

    Raises:
        UsageError: there is no such folder. The default one need not exist.
    """
    path = Path(folder)
    if str(folder) == "" or not path.is_dir():
        if path == RUNS and not path.exists():
            return Found()
        raise UsageError(f"{str(folder)!r} is not a folder: name one that holds runs")
    found = Found()
    for run in _walk(path, None, found.groups, set()):
        found.runs.append(run)
    for group in found.groups.values():
        _add_waiting(found, group)
    found.runs.sort(key=lambda run: (run.recipe, run.started, str(run.path)))
    _order_members(found)
    return found


def _walk(
    folder: Path, group: Group | None, groups: dict[Path, Group], seen: set[tuple[int, int]]
) -> Iterator[RunRecord]:
    try:
        with os.scandir(folder) as entries:
            inside = {entry.name: entry for entry in entries}
        place = folder.stat()
    except OSError as error:
        yield RunRecord(folder, "damaged", system_failure(error))
        return
    if (place.st_dev, place.st_ino) in seen:  # a link that leads back, or twice to one place
        return
    seen.add((place.st_dev, place.st_ino))
    if _RUN in inside or len(_MARKS & inside.keys()) > 1:
        member = group is not None and folder.parent == group.path and folder.name in group.members
        yield read_record(folder, group.path if group and member else None)
        return
    if FILE in inside:
        try:
            group = open_group(folder)
            groups[folder] = group
        except UsageError as error:
            yield RunRecord(folder, "damaged", str(error))
    for name in sorted(inside):
        if not name.startswith(".") and inside[name].is_dir():
            yield from _walk(folder / name, group, groups, seen)


def _add_waiting(found: Found, group: Group) -> None:
    there = {run.path for run in found.runs}
    for name, values in group.members.items():
        path = group.path / name
        if path not in there:
            kept = {"seed": values["seed"]} if "seed" in values else {}
            waiting = RunRecord(path, "waiting", recipe=group.recipe, environment=kept)
            found.runs.append(replace(waiting, group=group.path))


def _order_members(found: Found) -> None:
    """Put the members of each group in its order, at the place of the first of them."""
    order = {
        group.path / name: number
        for group in found.groups.values()
        for number, name in enumerate(group.members)
    }
    first: dict[Path, int] = {}
    for number, run in enumerate(found.runs):
        if run.group is not None and run.state != "waiting":
            first.setdefault(run.group, number)
    places = {
        run.path: (
            (first.get(run.group, number), order[run.path])
            if run.group is not None
            else (number, 0)
        )
        for number, run in enumerate(found.runs)
    }
    found.runs.sort(key=lambda run: places[run.path])
