"""What a sweep is judged by: a metric of the validation, and which way is better."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lightning.pytorch import LightningModule

from zoo.errors import UsageError
from zoo.plugin.protocols import HasMonitor
from zoo.recipes.recipe import Recipe

DIRECTIONS = ("minimize", "maximize")
_MODES = {"min": "minimize", "max": "maximize"}
_LESS = {"loss", "error", "mse", "mae", "rmse", "nll", "perplexity", "wer", "cer", "hd95", "brier"}
_MORE = {"accuracy", "acc", "auc", "auroc", "dice", "f1", "iou", "jaccard", "map", "precision"}
_MORE |= {"psnr", "r2", "recall", "return", "reward", "score", "sensitivity", "specificity", "ssim"}


@dataclass(frozen=True)
class Objective:
    """A metric and its direction.

    Attributes:
        metric: A metric that every validation logs.
        direction: One of ``DIRECTIONS``.
    """

    metric: str
    direction: str


def find_metric(recipe: Recipe, model: LightningModule, asked: str | None) -> str:
    """The metric that is asked for, or that of the recipe's ``ModelCheckpoint``, of its
    ``EarlyStopping``, or the model's own ``monitor``, in this order.

    Args:
        recipe: Resolved.
        model: Its model.
        asked: What the user asks for.

    Raises:
        UsageError: nothing is monitored and none is named, or the metric is the test's.
    """
    metric = asked or next((name for name, _ in _monitored(recipe, model)), None)
    if metric is None:
        raise UsageError(
            "neither the recipe nor its model monitors a metric: name one of the validation, such "
            "as --metric val/loss"
        )
    if metric.startswith(("test/", "test_")):
        raise UsageError(
            f"--metric {metric} is measured on the test part, which a sweep does not read: name a "
            "metric of the validation, such as --metric val/loss"
        )
    return metric


def find_direction(recipe: Recipe, model: LightningModule, metric: str, asked: str | None) -> str:
    """The direction that is asked for, that of whoever monitors the metric, or what its name says.

    Args:
        recipe: Resolved.
        model: Its model.
        metric: As found.
        asked: What the user asks for.

    Raises:
        UsageError: there is no such direction, or the name does not say which way is better.
    """
    if asked is not None and asked not in DIRECTIONS:
        raise UsageError(f"--direction has to be minimize or maximize, not {asked!r}")
    modes = (mode for name, mode in _monitored(recipe, model) if name == metric)
    direction = asked or _MODES.get(next(modes, "")) or _by_name(metric)
    if not direction:
        raise UsageError(
            f"the name of --metric {metric} does not say which way is better: add --direction "
            "minimize or --direction maximize"
        )
    return direction


def _monitored(recipe: Recipe, model: LightningModule) -> Iterator[tuple[str, str]]:
    """Metrics and their modes, the most telling first."""
    given = recipe.trainer.get("callbacks") or []
    callbacks = given if isinstance(given, list) else [given]
    for kind in ("Checkpoint", "EarlyStopping"):
        for each in callbacks:
            arguments: Mapping[str, Any] = {}
            if isinstance(each, Mapping) and kind in str(each.get("class_path")):
                arguments = each.get("init_args") or {}
            if monitor := arguments.get("monitor"):
                yield str(monitor), str(arguments.get("mode", "min"))
    if isinstance(model, HasMonitor):
        yield model.monitor, model.monitor_mode


def _by_name(metric: str) -> str:
    words = set(re.split(r"[^a-z0-9]+", metric.lower()))
    if bool(words & _LESS) == bool(words & _MORE):
        return ""
    return "minimize" if words & _LESS else "maximize"
