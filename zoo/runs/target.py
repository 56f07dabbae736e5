"""The number that a recipe is to reach, and whether a run reached it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

_LOWER = frozenset(
    {"loss", "error", "err", "mse", "mae", "rmse", "nll", "ece", "brier", "perplexity"}
    | {"wer", "cer", "distance", "hausdorff"}
)
"""Words of names of metrics of which less is better."""


@dataclass(frozen=True)
class Target:
    """What a recipe's ``about.target`` asks for.

    Attributes:
        metric: Name of the metric, such as ``test/accuracy``.
        value: The number to reach.
        mode: ``max`` where more is better, ``min`` where less is.
    """

    metric: str
    value: float
    mode: str

    def met(self, value: float) -> bool:
        """Whether a measured value reaches it; NaN does not."""
        return value <= self.value if self.mode == "min" else value >= self.value


def read_target(about: Mapping[str, Any]) -> Target | None:
    """The target of a recipe's ``about``; None if it has none, or one of another form.

    ``target`` may say by ``mode: min`` or ``mode: max`` which way is better; otherwise the name of
    its metric does (``mode_of``).
    """
    target = about.get("target")
    if not isinstance(target, Mapping):
        return None
    metric, value = target.get("metric"), target.get("value")
    if not isinstance(metric, str) or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    mode = target.get("mode")
    if not math.isfinite(value):
        return None
    return Target(metric, float(value), mode if mode in ("min", "max") else mode_of(metric))


@cache
def mode_of(metric: str) -> str:
    """``min`` for a metric whose name says that less is better, such as ``val/loss``,
    ``test/pixel_error`` or ``test/wer``; ``max`` otherwise."""
    words = re.split(r"[\W_]+", metric.rpartition("/")[2].lower())
    return "min" if _LOWER & set(words) else "max"
