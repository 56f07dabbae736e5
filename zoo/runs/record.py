"""What a run folder says of itself, read so that damage is a part of the answer.

``zoo.runs.run.Run`` is for working with one run. This is for looking at hundreds, in a moment:
only what a list shows is read, without torch, and nothing raises.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.io.bounds import read_json
from zoo.io.plain_json import metrics_from_json
from zoo.runs.recipe_text import read_sections
from zoo.runs.run import Run
from zoo.runs.state import is_held
from zoo.runs.target import Target, read_target

STATES = ("running", "finished", "fast", "interrupted", "failed", "waiting", "damaged")
"""``fast`` is finished on a part of the batches; ``waiting`` a member of a group that has not
begun."""
_MOST = 4 << 20
_PART = ("limit_train_batches", "limit_test_batches", "overfit_batches", "fast_dev_run")
"""Trainer settings with which metrics are of a part of the data."""


@dataclass(frozen=True)
class RunRecord:
    """One run of a list.

    Attributes:
        path: Its folder.
        state: One of ``STATES``.
        problem: Why it failed, or what is damaged; empty otherwise.
        recipe: Name of its recipe; empty if that is lost.
        environment: Where and how it ran, as ``environment.json`` says.
        metrics: The final metrics.
        target: What its recipe is to reach.
        group: Folder of the group it belongs to.
    """

    path: Path
    state: str
    problem: str = ""
    recipe: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    target: Target | None = None
    group: Path | None = None

    @property
    def measured(self) -> bool:
        """Whether it came to its end, so that its metrics are the final ones."""
        return self.state in ("finished", "fast")

    @property
    def seed(self) -> int | None:
        """Its seed."""
        seed = self.environment.get("seed")
        return seed if isinstance(seed, int) else None

    @property
    def seconds(self) -> float | None:
        """Seconds of training so far."""
        return _number(self.environment.get("fit_seconds"))

    @property
    def device(self) -> str:
        """Where it trained, such as ``cpu``; the processes if there were several."""
        device = str(self.environment.get("device", ""))
        processes = self.environment.get("processes", 1)
        several = isinstance(processes, int) and processes > 1
        return f"{device.split(':')[0]} x{processes}" if several else device

    @property
    def started(self) -> str:
        """When it began, in UTC."""
        return str(self.environment.get("started", ""))

    @property
    def moment(self) -> float | None:
        """When it began, in seconds since 1970; None if that is lost."""
        try:
            return datetime.datetime.fromisoformat(self.started).timestamp()
        except (ValueError, OverflowError):
            return None

    @property
    def value(self) -> float | None:
        """The metric of the target."""
        return self.metrics.get(self.target.metric) if self.target else None

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where that is not known: without a target, before
        the end, or on a part of the data."""
        if self.target is None or self.value is None or self.state != "finished":
            return None
        return self.target.met(self.value)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        target = self.target
        return {
            "run": str(self.path),
            "group": None if self.group is None else str(self.group),
            "recipe": self.recipe,
            "state": self.state,
            "problem": self.problem,
            "seed": self.seed,
            "metrics": dict(self.metrics),
            "target": target and {"metric": target.metric, "value": target.value},
            "value": self.value,
            "met": self.met,
            "seconds": self.seconds,
            "device": self.device,
            "started": self.started,
            "finished": self.environment.get("finished"),
            "epochs": self.environment.get("epochs"),
        }


def read_record(path: Path, group: Path | None = None) -> RunRecord:
    """What is known of the run in a folder.

    Args:
        path: A folder that holds ``recipe.yaml``, or other files of a run.
        group: The folder of its group, if it has one.
    """
    problems: list[str] = []
    environment = _read(path / "environment.json", problems, needed=True)
    about, trainer = _read_recipe(path / "recipe.yaml", problems)
    finished = "finished" in environment
    metrics = _metrics(_read(path / "metrics.json", problems, needed=finished), problems)
    state = _state(path, environment, trainer, problems)
    if state == "failed":
        problems.append(str(environment["failed"]))
    return RunRecord(
        path,
        state,
        "; ".join(problems),
        str(environment.get("recipe", "")),
        environment,
        metrics,
        read_target(about),
        group,
    )


def _state(
    path: Path, environment: Mapping[str, Any], trainer: Mapping[str, Any], problems: list[str]
) -> str:
    if is_held(Run(path)):
        return "running"
    if problems:
        return "damaged"
    if "finished" in environment:
        return "fast" if any(_is_part(name, trainer.get(name)) for name in _PART) else "finished"
    return "failed" if "failed" in environment else "interrupted"


def _is_part(name: str, value: Any) -> bool:
    """Whether a setting of the Trainer leaves data out: a number of batches, or a share below 1."""
    whole = value is None or (isinstance(value, float) and value >= 1.0)
    return not whole and (name.startswith("limit") or bool(value))


def _read(path: Path, problems: list[str], needed: bool) -> dict[str, Any]:
    try:
        content = read_json(path, _MOST)
    except FileNotFoundError:
        if needed:
            problems.append(f"{path.name} is missing")
        return {}
    except OSError as error:
        problems.append(f"{path.name} cannot be read: {error.strerror}")
        return {}
    except ValueError:
        content = None
    if not isinstance(content, dict):
        problems.append(f"{path.name} is damaged")
        return {}
    return content


def _metrics(content: Mapping[str, Any], problems: list[str]) -> dict[str, float]:
    numbers = {k: v for k, v in content.items() if v is None or _number(v) is not None}
    if len(numbers) < len(content):
        problems.append("metrics.json holds values that are not numbers")
    return metrics_from_json(numbers)


def _read_recipe(path: Path, problems: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ``about`` and the ``trainer`` of a recipe."""
    try:
        content = read_sections(path, ("about", "trainer"))
    except FileNotFoundError:
        problems.append(f"{path.name} is missing")
        return {}, {}
    except OSError as error:
        problems.append(f"{path.name} cannot be read: {error.strerror}")
        return {}, {}
    except (ValueError, RecursionError) as error:
        problems.append(f"{path.name} is damaged: {error}")
        return {}, {}
    about, trainer = content.get("about"), content.get("trainer")
    return (
        about if isinstance(about, dict) else {},
        trainer if isinstance(trainer, dict) else {},
    )


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return None
    return value
