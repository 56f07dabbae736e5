"""``metrics.csv``: the metrics of a run over time, read without torch."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

POSITION: Mapping[str, Callable[[str], float]] = {"epoch": int, "step": int}
"""The columns that say where a row belongs."""

Row = dict[str, float]


def read_history(path: Path) -> tuple[list[Row], str]:
    """The rows up to the first that is damaged.

    Returns:
        Rows of ``epoch``, ``step`` and what was logged there: counts are whole numbers, metrics
        are not. And what is wrong with the file; empty if nothing is, or if there is none.
    """
    found: list[Row] = []
    if not path.is_file():
        return found, ""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                found.append({name: _number(name, value) for name, value in row.items() if value})
                if not POSITION.keys() <= found[-1].keys():
                    raise ValueError("a row has no epoch or step")
    except (csv.Error, TypeError, ValueError) as error:
        return [row for row in found if POSITION.keys() <= row.keys()], str(error)
    return found, ""


def counters_of_rows(rows: Sequence[Row]) -> list[str]:
    """The columns that are counts, such as ``evaluations``, in their order."""
    columns = dict.fromkeys(name for row in rows for name in row if name not in POSITION)
    return [
        name
        for name in columns
        if "/" not in name and all(isinstance(row.get(name, 0), int) for row in rows)
    ]


def series(
    rows: Sequence[Row], counters: Sequence[str] = ()
) -> dict[str, list[tuple[float, float]]]:
    """Every metric as points (x, value).

    Args:
        rows: Of ``read_history``.
        counters: Columns that are counts. The first of them is x; without, x is the epoch,
            counted from 1.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    last = 0.0
    for row in rows:
        last = row.get(counters[0], last) if counters else row["epoch"] + 1
        for name, value in row.items():
            if name not in (*POSITION, *counters):
                found.setdefault(name, []).append((last, value))
    return found


def _number(column: str, text: str) -> float:
    """Counts are written without a point, metrics with one."""
    return int(text) if text.isdigit() else POSITION.get(column, float)(text)
