"""Tables for people, JSON for scripts."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.io.plain_json import to_json


def show(
    rows: Sequence[Mapping[str, Any]], as_json: bool, title: str = "", columns: Sequence[str] = ()
) -> None:
    """Print rows as a table, or as a JSON list of objects.

    Args:
        rows: What to show; every row has the same keys.
        as_json: Print all of every row as JSON.
        title: A line above the table.
        columns: The keys that the table shows; all by default.
    """
    if as_json:
        print(to_json(rows))
        return
    from rich import box
    from rich.table import Table

    columns = columns or (list(rows[0]) if rows else [])
    if title:
        console().print(title, style="bold", soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=index == 0, overflow="fold")
    for row in rows:
        table.add_row(*(_text(row[column]) for column in columns))
    console().print(table)


def console() -> Any:
    """A console as wide as the terminal; a file gets lines that are not folded."""
    from rich.console import Console

    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 160)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
