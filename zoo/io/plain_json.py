"""JSON that every reader takes: the standard has no NaN and no infinity, so they become null."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def to_json(content: Any, *, sort_keys: bool = False) -> str:
    """Indented JSON text.

    Args:
        content: Mappings, lists, texts and numbers; a number that is not finite becomes null.
        sort_keys: Put the keys of every object in order.
    """
    return json.dumps(
        without_nan(content), indent=2, ensure_ascii=False, sort_keys=sort_keys, allow_nan=False
    )


def without_nan(content: Any) -> Any:
    """The same content with None for each number that is not finite."""
    if isinstance(content, float) and not math.isfinite(content):
        return None
    if isinstance(content, Mapping):
        return {key: without_nan(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [without_nan(value) for value in content]
    return content


def metrics_from_json(content: Mapping[str, float | None]) -> dict[str, float]:
    """Metrics as they were before they were written; NaN for null."""
    return {name: math.nan if value is None else value for name, value in content.items()}
