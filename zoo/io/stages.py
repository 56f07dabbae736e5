"""The stages that names of metrics begin with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

_Value = TypeVar("_Value")


def measured(metrics: Mapping[str, _Value]) -> dict[str, _Value]:
    """What is known of the trained model: all but the metrics of training and validation, whose
    names say so; all of them if there are no others."""
    found = {k: v for k, v in metrics.items() if not k.startswith(("train/", "val/"))}
    return found or dict(metrics)
