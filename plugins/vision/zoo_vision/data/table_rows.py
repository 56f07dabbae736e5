"""Tables of a user: CSV with commas, semicolons or tabs, and JSON lines."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.plugin import UsageError


@dataclass(frozen=True)
class Row:
    """One row.

    Args:
        table: Its file.
        line: Its line there.
        values: By the columns' names.
    """

    table: Path
    line: int
    values: dict[str, Any]

    @property
    def where(self) -> str:
        """What messages call it."""
        return f"{self.table}, line {self.line}"


def read_rows(table: Path) -> list[Row]:
    """The rows of a table; ``.jsonl`` holds JSON lines and anything else is CSV.

    Raises:
        UsageError: it cannot be read, is not UTF-8 text, or is damaged.
    """
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{table} is not UTF-8 text ({error.reason}); save it as that") from error
    except OSError as error:
        raise UsageError(f"{table} cannot be read: {error.strerror}") from error
    return _read_lines(table, text) if table.suffix == ".jsonl" else _read_csv(table, text)


def _read_csv(table: Path, text: str) -> list[Row]:
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return [Row(table, reader.line_num, {k: v for k, v in row.items() if k}) for row in reader]
    except csv.Error as error:
        raise UsageError(f"{table}, line {reader.line_num}: {error}; correct that line") from error


def _read_lines(table: Path, text: str) -> list[Row]:
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{table}, line {number} is not JSON ({error})") from error
        if not isinstance(values, dict):
            raise UsageError(f"{table}, line {number} is not a JSON object in braces")
        rows.append(Row(table, number, values))
    return rows
