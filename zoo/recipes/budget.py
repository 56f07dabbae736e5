"""The section ``budget`` of a recipe: how much of what is counted a training may use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from zoo.errors import shown

_COUNT = re.compile(r"[0-9]+(_[0-9]+)*")


def read_budget(given: Any) -> tuple[dict[str, int], list[str]]:
    """Limits by unit.

    Args:
        given: A mapping, as in a recipe's file, or ``UNIT=COUNT,...``, as after ``--budget``; None,
            or the text ``none``, for no budget.

    Returns:
        The limits, and a sentence for every fault.
    """
    if given is None or (isinstance(given, str) and given.strip().lower() in ("none", "null", "")):
        return {}, []
    if isinstance(given, str):
        pairs = [each.partition("=") for each in given.strip("{}").split(",")]
        if not all(equals for _, equals, _ in pairs):
            return {}, [f"the budget {shown(given)} has to be UNIT=COUNT, as evaluations=5000"]
        given = {unit.strip(): count.strip() for unit, _, count in pairs}
    if not isinstance(given, Mapping):
        return {}, [f"'budget' has to be a mapping of units to counts, not {shown(given)}"]
    found: dict[str, int] = {}
    problems: list[str] = []
    for unit, value in given.items():
        count = _count(value)
        if not isinstance(unit, str):
            problems.append(f"'budget' has the unit {shown(unit)}, which is not a text")
        elif count < 1:
            problems.append(
                f"'budget.{unit[:100]}' has to be a whole number of 1 or more, not {shown(value)}"
            )
        else:
            found[unit] = count
    return found, problems


def _count(value: Any) -> int:
    if isinstance(value, str) and len(value) <= 20 and _COUNT.fullmatch(value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
