"""A group: a folder of runs that belong together, such as the seeds of a recipe or its folds.

``group.json`` says what it is and which runs it is to have; each lies in a folder of its own
beside it and is a run like any other. A run that is missing, unfinished or failed stays a member.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.io.atomic import write_atomically
from zoo.io.bounds import read_json
from zoo.io.failures import system_failure
from zoo.io.plain_json import to_json
from zoo.runs.run import Run, require_empty

FORMAT = 1
KINDS = ("seeds", "crossval", "sweep")
FILE = "group.json"
_MAX_BYTES = 16 << 20
"""Of what a group notes of its runs, some thousands each."""


@dataclass(frozen=True)
class Group:
    """A folder of runs.

    Attributes:
        path: The folder.
        kind: One of ``KINDS``.
        recipe: Name of the recipe that all its runs come from.
        members: Folder name of each run, in order, to what sets it apart from the others, such as
            ``{"seed-1": {"seed": 1}}``.
        settings: What else the command that made it needs to continue, plain values.
    """

    path: Path
    kind: str
    recipe: str
    members: Mapping[str, Mapping[str, Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def runs(self) -> dict[str, Run]:
        """Its runs by folder name, those that have not begun included."""
        return {name: Run(self.path / name) for name in self.members}

    @property
    def finished(self) -> bool:
        """Whether every run came to its end."""
        return all(run.finished for run in self.runs.values())

    def write(self) -> None:
        """Write ``group.json``; what was there before survives a failure."""
        content = {
            "format": FORMAT,
            "kind": self.kind,
            "recipe": self.recipe,
            "members": self.members,
            "settings": self.settings,
        }
        write_atomically(self.path / FILE, (to_json(content, sort_keys=False) + "\n").encode())


def create_group(group: Group) -> None:
    """Make the folder and write down what belongs to it.

    Raises:
        UsageError: the folder exists and is not empty, or cannot be made.
    """
    require_empty(group.path)
    try:
        group.path.mkdir(parents=True, exist_ok=True)
        group.write()
    except OSError as error:
        raise UsageError(system_failure(error, "the folder cannot be made")) from error


def is_group(path: str | Path) -> bool:
    """Whether a folder is a group."""
    return (Path(path) / FILE).is_file()


def open_group(path: str | Path) -> Group:
    """The group in a folder.

    Raises:
        UsageError: it is not a group, or one that this version cannot read.
    """
    path = Path(path)
    if not is_group(path):
        raise UsageError(f"{path} is not a group of runs: it has no {FILE}")
    try:
        content = read_json(path / FILE, _MAX_BYTES)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path / FILE} cannot be read: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UsageError(f"{path / FILE} is not of format {FORMAT}: another version wrote it")
    kind, members, settings = (content.get(name) for name in ("kind", "members", "settings"))
    named = isinstance(members, dict) and all(
        _is_name(name) and isinstance(values, dict) for name, values in members.items()
    )
    if kind not in KINDS or not named or not isinstance(settings, dict):
        raise UsageError(f"{path / FILE} is damaged: kind, members or settings are missing")
    return Group(path, str(kind), str(content.get("recipe")), members or {}, settings)


def _is_name(name: str) -> bool:
    """A name that stays within the group's folder."""
    return bool(name) and name not in (".", "..") and not set(name) & set("/\\\0")
