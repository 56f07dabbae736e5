"""Predictions as a table: a column for each value, none of them nested."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zoo.io.plain_json import without_nan


def to_csv(rows: Sequence[Mapping[str, Any]], first: str = "file") -> str:
    """The rows as CSV, with every column that one of them has.

    Args:
        rows: JSON values by name. A mapping becomes a column for each of its values, called
            ``name/key``; a list one cell, its values joined by ``; ``; a list of mappings, such as
            the words of a clip, a column for each key, with as many values.
        first: The column of a table without rows.
    """
    flat = [dict(_columns("", row)) for row in rows]
    columns = list(dict.fromkeys(key for row in flat for key in row)) or [first]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def short(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What of rows is shown in a terminal: the columns that are nested in none of them, the same
    for each row, with None where a row has no such value."""
    nested = {name for row in rows for name, value in row.items() if _is_nested(value)}
    names = dict.fromkeys(name for row in rows for name in row if name not in nested)
    return [{name: row.get(name) for name in names} for row in rows]


def _columns(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _columns(f"{name}/{key}" if name else str(key), inner)
    elif isinstance(value, (list, tuple)):
        if value and all(isinstance(each, Mapping) for each in value):
            keys = dict.fromkeys(key for each in value for key in each)
            for key in keys:
                yield f"{name}/{key}", _joined([each.get(key) for each in value])
        else:
            yield name, _joined(value)
    else:
        yield name, value


def _joined(values: Sequence[Any]) -> str:
    return "; ".join(map(_text, values))


def _text(value: Any) -> str:
    if isinstance(value, (Mapping, list, tuple)):
        return json.dumps(without_nan(value), ensure_ascii=False)
    return "" if value is None else str(value)


def _is_nested(value: Any) -> bool:
    inner = value if isinstance(value, (list, tuple)) else []
    return isinstance(value, Mapping) or any(isinstance(v, (Mapping, list, tuple)) for v in inner)
