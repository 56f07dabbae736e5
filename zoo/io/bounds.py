"""How much a file of values may hold, and JSON read within these bounds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

MAX_DEPTH = 100
MAX_DIGITS = 100
"""Of a number: Python's own limit is thousands, which no float holds and no screen shows."""
MAX_VALUES = 200_000
"""Of a YAML file, those behind aliases counted each time."""


def read_bytes(path: Path, most: int) -> bytes | None:
    """The content of a file; None if it has more than ``most`` bytes.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size  # 0 of what is not a plain file
        data = file.read(min(size, most) + 1)
        if len(data) > size:
            data += file.read(most + 1 - len(data))
    return data if len(data) <= most else None


def read_json(path: Path, most: int) -> Any:
    """The content of a JSON file.

    Args:
        path: The file, in UTF-8.
        most: The bytes it may have.

    Raises:
        ValueError: it is larger, not UTF-8, not JSON, nested too deep, or holds a number without
            end; the text says which.
        OSError: it cannot be read.
    """
    data = read_bytes(path, most)
    if data is None:
        raise ValueError(f"it has more than {most} bytes")
    try:
        content = json.loads(data.decode(), parse_int=_whole_number)
        deep = _is_deep(content)
    except RecursionError:
        deep = True
    if deep:
        raise ValueError(f"its values are nested more than {MAX_DEPTH} deep")
    return content


def _whole_number(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"it holds a number of {len(digits)} digits")
    return int(digits)


def _is_deep(content: Any) -> bool:
    level = [content]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return True
