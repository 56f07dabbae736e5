"""How many numbers a weights file holds, by its header and without torch."""

from __future__ import annotations

import json
import math
from pathlib import Path

_MOST = 100 << 20
"""Bytes of a header, as https://github.com/huggingface/safetensors bounds it."""


def stated_numbers(path: Path) -> tuple[int, int] | None:
    """Tensors of a safetensors file, and the numbers in all of them.

    Returns:
        None where the file is missing or its header is not one; that is for its readers to tell.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length) if length <= _MOST else b"")
        shapes = [value["shape"] for key, value in header.items() if key != "__metadata__"]
        return len(shapes), sum(map(math.prod, shapes))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
