"""Which runs are repetitions of one experiment: the same recipe but for the seed, or the fold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.errors import UsageError
from zoo.io.bounds import read_json
from zoo.runs.recipe_text import read_sections
from zoo.runs.record import RunRecord
from zoo.runs.run import Run

_MACHINE = {
    "data": ("num_workers",),
    "trainer": (
        *(
            "accelerator",
            "compile",
            "devices",
            "num_nodes",
            "strategy",
            "logger",
            "profiler",
            "tf32",
        ),
        *("enable_progress_bar", "enable_model_summary", "log_every_n_steps"),
    ),
}
"""Settings that say where a run ran and what it told, not what it was."""
_MAX_BYTES = 4 << 20
"""Of a bundle's manifest."""
_OF_A_FOLD = ("number", "val")


@dataclass(frozen=True)
class Repetition:
    """A run, and what it repeats.

    Attributes:
        run: The run.
        settings: Its recipe, flat (``model.lr``), without ``about``, the seed, and what belongs to
            the machine.
        classes: The classes that it tells apart: their names, or how many; None if there are none
            or that is not known.
        which: What sets it apart from the other repetitions: the seed and the fold.
    """

    run: RunRecord
    settings: Mapping[str, Any]
    classes: tuple[str, ...] | int | None
    which: tuple[int, int | None]


def repetition(run: RunRecord) -> Repetition:
    """What a run repeats.

    Raises:
        UsageError: its recipe cannot be read.
    """
    try:
        content = read_sections(Run(run.path).recipe_file)
    except (OSError, ValueError) as error:
        raise UsageError(f"recipe.yaml cannot be read: {error}") from error
    content.pop("about", None)
    seed = content.pop("seed", 0)
    if not isinstance(seed, int):
        raise UsageError(f"the recipe of {run.path} has the seed {seed!r}")
    data, fold = content.get("data"), content.get("fold")
    if isinstance(data, dict) and data.get("seed") == seed:
        content["data"] = {key: value for key, value in data.items() if key != "seed"}
    number = fold.get("number") if isinstance(fold, dict) else None
    flat = flatten(content)
    dropped = {f"{section}.{name}" for section, names in _MACHINE.items() for name in names}
    if number is not None:
        dropped |= {f"fold.{name}" for name in _OF_A_FOLD}
    kept = {key: value for key, value in flat.items() if not _within(key, dropped)}
    return Repetition(run, kept, _classes(run), (seed, number))


def pool(repetitions: Sequence[Repetition]) -> list[list[Repetition]]:
    """Those of one recipe and the same classes together, in the order of the first of each."""
    found: dict[str, list[Repetition]] = {}
    for each in repetitions:
        key = json.dumps(
            [each.run.recipe, each.settings, each.classes], sort_keys=True, default=str
        )
        found.setdefault(key, []).append(each)
    return list(found.values())


def differing(mappings: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The keys whose values differ, each with the value of every mapping; None where it has
    none."""
    keys = dict.fromkeys(key for each in mappings for key in each)
    found = {key: [each.get(key) for each in mappings] for key in keys}
    return {key: values for key, values in found.items() if any(v != values[0] for v in values)}


def flatten(content: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested mappings under dotted keys. Lists stay whole."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            found |= flatten(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def _within(key: str, dropped: set[str]) -> bool:
    return key in dropped or any(key.startswith(f"{each}.") for each in dropped)


def _classes(record: RunRecord) -> tuple[str, ...] | int | None:
    """The classes that a run tells apart, as its bundle says."""
    try:
        content = read_json(Run(record.path).bundle / "bundle.json", _MAX_BYTES)
    except (OSError, ValueError):  # a run without a bundle has metrics nevertheless
        return None
    facts = content.get("facts") if isinstance(content, dict) else None
    if not isinstance(facts, dict):
        return None
    names, count = facts.get("label_names"), facts.get("num_classes")
    if isinstance(names, list) and names:
        return tuple(map(str, names))
    return count if isinstance(count, int) else None
