"""Which runs are meant by folders: runs, groups, and folders that hold them at any depth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoo.errors import UsageError
from zoo.runs.listing import find_runs
from zoo.runs.record import RunRecord


def gather(folders: Sequence[str | Path]) -> tuple[list[RunRecord], list[str]]:
    """The runs in folders, each once.

    Returns:
        The runs in the order of the folders, and a sentence about those that came twice.

    Raises:
        UsageError: a folder is not there or has no run in it.
    """
    found: dict[Path, RunRecord] = {}
    twice: list[str] = []
    for folder in folders:
        if not Path(folder).is_dir() or str(folder) == "":
            raise UsageError(
                f"{str(folder)!r} is not a folder: name runs, groups of runs, or folders that "
                "hold them (zoo runs)"
            )
        runs = find_runs(folder).runs
        if not runs:
            raise UsageError(
                f"{folder} is not a run folder, and there is none in it: it has no recipe.yaml"
            )
        for run in runs:
            place = run.path.resolve()
            if place in found:
                twice.append(str(run.path))
            else:
                found[place] = run
    notes = []
    if twice:
        were = "was" if len(twice) == 1 else "were"
        notes.append(f"{', '.join(dict.fromkeys(twice))} {were} named twice and counted once")
    return list(found.values()), notes
