"""What recipes were measured to reach: ``records.jsonl``, beside the recipes of a plugin.

One line is one measurement of one metric, with all that is needed to judge and repeat it. Lines are
added and never changed; where a recipe was measured several times, all of them are shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from statistics import fmean
from typing import Any

from zoo.errors import ZooError
from zoo.io.bounds import read_bytes
from zoo.io.plain_json import without_nan

FILE = "records.jsonl"
_MAX_BYTES = 8 << 20


@dataclass(frozen=True)
class Record:
    """A measurement.

    Attributes:
        recipe: Name of the recipe.
        metric: Such as ``test/accuracy``.
        values: Seed to value.
        date: Day it was made, ``2026-11-20``.
        command: What makes it again.
        hardware: Processor or card, cores, and what else ran.
        target: The recipe's ``about.target`` at that time; empty for none.
        source: The target's source.
        seconds: Seed to the seconds that training took; empty where they were not taken.
        threads: Of torch; None where it is not known.
        versions: Distribution to version.
        commit: Revision of the code; None where it was not noted.
        note: What a reader has to know to compare it.
    """

    recipe: str
    metric: str
    values: Mapping[str, float]
    date: str
    command: str
    hardware: str
    target: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    threads: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    note: str = ""

    @property
    def mean(self) -> float:
        """Over seeds."""
        return fmean(self.values.values())

    @property
    def described(self) -> str:
        """``0.9916 (seed 1)``, or the mean with the range and the number of seeds."""
        numbers = list(self.values.values())
        if len(numbers) == 1:
            return f"{numbers[0]:.4g} (seed {next(iter(self.values))})"
        low, high = min(numbers), max(numbers)
        return f"{self.mean:.4g} (mean of {len(numbers)} seeds, {low:.4g} to {high:.4g})"


def read_records(folder: Path) -> list[Record]:
    """The records of a folder of recipes, in the order of the file; none without one.

    Raises:
        ZooError: a line is no record; the text has its number.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    data = read_bytes(path, _MAX_BYTES)
    if data is None:
        raise ZooError(f"{path} has more than {_MAX_BYTES} bytes")
    found = []
    for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
        try:
            found.append(_record(json.loads(line)))
        except (ValueError, TypeError, RecursionError) as error:
            raise ZooError(f"{path}, line {number}, is not a record: {error}") from error
    return found


def records_of(recipe: str, path: Path) -> list[Record]:
    """The records of one recipe.

    Args:
        recipe: Its name.
        path: Its file.
    """
    return [record for record in read_records(path.parent) if record.recipe == recipe]


def add_record(folder: Path, record: Record) -> None:
    """Add a line in one write.

    Args:
        folder: Of the recipe.
        record: What was measured.
    """
    line = json.dumps(without_nan(asdict(record)), ensure_ascii=False, allow_nan=False) + "\n"
    with (folder / FILE).open("a", encoding="utf-8", newline="") as file:
        file.write(line)


_NAMES = {each.name for each in fields(Record)}


def _record(content: Any) -> Record:
    if not isinstance(content, dict):
        raise ValueError("it is not an object")
    if wrong := sorted(content.keys() - _NAMES):
        raise ValueError(f"unknown {', '.join(wrong)}")
    record = Record(**content)
    values = record.values
    if not isinstance(values, dict) or not values:
        raise ValueError("values has no seed")
    if not all(isinstance(each, int | float) for each in values.values()):
        raise ValueError("values holds something that is not a number")
    return record
