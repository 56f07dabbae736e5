"""Results that come one by one: rows of a CSV file, which a benchmark goes on from."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file; none if there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def add_row(path: Path, fields: Sequence[str], row: Mapping[str, Any]) -> None:
    """Add a row in one write, so that two processes may share the file.

    Args:
        path: Made with a line of names if it is not there.
        fields: The names, in order.
        row: By name.
    """
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fields, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)
