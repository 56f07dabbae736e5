"""The study of a sweep: made, or found in its storage and compared with what is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from optuna.storages import BaseStorage
from optuna.study import Study, create_study

from zoo.errors import UsageError, format_problems
from zoo.experiments.sweeps.metric import Objective
from zoo.experiments.sweeps.sampler import make_pruner, make_sampler
from zoo.experiments.sweeps.space import Parameter
from zoo.experiments.sweeps.storage import answering
from zoo.recipes.recipe import Recipe
from zoo.runs.environment import without_password

_ATTRIBUTE = "zoo"
_MACHINE = {
    "data": ("root", "num_workers"),
    "trainer": (
        "accelerator",
        "compile",
        "devices",
        "enable_model_summary",
        "enable_progress_bar",
        "logger",
        "num_nodes",
        "profiler",
        "strategy",
    ),
}
"""Settings of a recipe that may differ between the machines of one sweep."""


def describe_sweep(
    recipe: Recipe,
    space: Mapping[str, Parameter],
    objective: Objective,
    sampler: str,
    pruner: str,
) -> dict[str, Any]:
    """What makes a sweep the one that it is, as JSON: another machine's part of it has the same.

    Args:
        recipe: Resolved, with the values that are set and not varied.
        space: What is varied.
        objective: What it is judged by.
        sampler: By name.
        pruner: By name.
    """
    content = {key: value for key, value in recipe.as_dict().items() if key != "about"}
    for section, names in _MACHINE.items():
        content[section] = {k: v for k, v in content[section].items() if k not in names}
    described = {
        "recipe": content,
        "space": {key: str(each) for key, each in space.items()},
        "metric": objective.metric,
        "direction": objective.direction,
        "sampler": sampler,
        "pruner": pruner,
    }
    read: dict[str, Any] = json.loads(json.dumps(described, default=str))
    return read


def open_study(
    storage: BaseStorage, address: str, name: str, described: Mapping[str, Any], seed: int
) -> Study:
    """The study of a sweep.

    Args:
        storage: Where it is.
        address: How the user wrote that.
        name: Of the study.
        described: As ``describe_sweep`` says it.
        seed: Of the sampler.

    Raises:
        UsageError: the storage has a study of that name that is another sweep's.
    """
    with answering(address):
        study = create_study(
            study_name=name,
            storage=storage,
            direction=described["direction"],
            sampler=make_sampler(described["sampler"], seed),
            pruner=make_pruner(described["pruner"]),
            load_if_exists=True,
        )
        before = study.user_attrs.get(_ATTRIBUTE)
        if before is None and not study.get_trials(deepcopy=False):
            study.set_user_attr(_ATTRIBUTE, described)
            return study
    where = f"the study {name!r} in {without_password(address)}"
    if before is None:
        raise UsageError(f"{where} was not made by `zoo sweep`: name another with --study")
    refuse_other_sweep(where, before, described, "choose another --out, and another --study")
    return study


def refuse_other_sweep(
    where: str, before: Mapping[str, Any], now: Mapping[str, Any], remedy: str
) -> None:
    """Refuse to continue one sweep as another.

    Args:
        where: What is there, for the message.
        before: What it was described as.
        now: What is asked for.
        remedy: What to do instead.

    Raises:
        UsageError: they differ; every difference is named.
    """
    old, new = dict(_flat(before)), dict(_flat(now))
    problems = [
        f"'{key}' was {old[key]!r}, not {new[key]!r}"
        if key in old and key in new
        else f"'{key}' was {old[key]!r}"
        if key in old
        else f"'{key}' was not given, and is {new[key]!r}"
        for key in {**old, **new}
        if old.get(key, _Nothing) != new.get(key, _Nothing)
    ]
    if problems:
        raise UsageError(format_problems(f"{where} is another sweep's", problems) + f"; {remedy}")


class _Nothing:
    """Equal to no value."""


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, "" if key in ("recipe", "space") else f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
