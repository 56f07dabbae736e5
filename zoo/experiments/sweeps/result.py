"""What a sweep comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import ZooError


class SweepInterrupted(ZooError):
    """The user or a scheduler ended the sweep, which can be continued.

    Args:
        path: Its folder.
        status: The exit status: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, path: Path, status: int) -> None:
        super().__init__(
            f"stopped; the sweep so far lies in {path}, the same command with --out {path} "
            "continues it"
        )
        self.status = status


@dataclass(frozen=True)
class Sweep:
    """A sweep, as far as it has come.

    Attributes:
        path: Its folder, a group of runs.
        recipe: Name of its recipe.
        metric: What it is judged by.
        direction: ``minimize`` or ``maximize``.
        trials: A row a trial, as of ``summary.json``.
        best: That of the best trial; None if none was trained to its end.
    """

    path: Path
    recipe: str
    metric: str
    direction: str
    trials: list[dict[str, Any]]
    best: Mapping[str, Any] | None
