"""Metrics over time: by what they measure, and what kind of axis they ask for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

STAGES = ("train", "val", "test")
Series: TypeAlias = Sequence[tuple[float, float]]
"""Points (epoch, step or count; value)."""
_DECADES = 1.5
"""Powers of ten that a falling curve covers before its axis is logarithmic; a rising one, twice."""


def by_quantity(
    metrics: Mapping[str, Series],
) -> tuple[dict[str, dict[str, Series]], dict[str, dict[str, float]]]:
    """Metrics by what they measure, in the order of their names.

    Args:
        metrics: Logged name to its points.

    Returns:
        Quantities that have a curve: stage to its points. The others: stage to the one value.
    """
    quantities: dict[str, dict[str, Series]] = {}
    for name, points in sorted(metrics.items(), key=lambda each: stage_order(each[0])):
        stage, _, quantity = name.partition("/")
        finite = [(place, value) for place, value in points if math.isfinite(value)]
        if finite:
            quantities.setdefault(quantity or stage, {})[stage] = finite
    if "accuracy" in quantities:
        quantities.pop("error", None)
    drawn = {
        name: stages
        for name, stages in sorted(quantities.items())
        if any(len(points) > 1 for points in stages.values())
    }
    single = {
        name: {stage: points[-1][1] for stage, points in stages.items()}
        for name, stages in sorted(quantities.items())
        if name not in drawn
    }
    return drawn, single


def stage_order(name: str) -> tuple[int, str]:
    """A key to sort by: training comes before validation, and that before the test.

    Args:
        name: A stage, or a metric's name that begins with one.
    """
    stage = name.partition("/")[0]
    return (STAGES.index(stage) if stage in STAGES else len(STAGES), name)


def asks_for_log(stages: Iterable[Series]) -> bool:
    """Whether the values of curves cover so many powers of ten that a linear axis hides most.

    Args:
        stages: The curves of one panel.
    """
    curves_ = [points for points in stages if len(points) > 1]
    values = [value for points in curves_ for _, value in points]
    if not values or min(values) <= 0:
        return False
    falls = all(points[-1][1] < points[0][1] for points in curves_)
    return math.log10(max(values) / min(values)) > _DECADES * (1 if falls else 2)
