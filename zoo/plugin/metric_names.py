"""Metrics of other people's modules under the zoo's names, where the author gives them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from lightning.pytorch import LightningModule

from zoo.errors import UsageError
from zoo.plugin._lightning_internals import attached_trainer
from zoo.plugin.protocols import HasMetricNames

_STAGE = "{stage}"


def rename_metrics(module: LightningModule) -> None:
    """Let what a module logs have the names of its ``metric_names``, for everything that follows:
    loggers, progress, callbacks that monitor.

    Raises:
        UsageError: two of its names become one.
    """
    if not isinstance(module, HasMetricNames) or not module.metric_names:
        return
    names = dict(module.metric_names)
    before: dict[str, str] = {}
    for old, new in names.items():
        if new in before:
            raise UsageError(
                f"metric_names of {type(module).__name__} calls both {before[new]!r} and {old!r} "
                f"{new!r}, so one would be lost: give each a name of its own"
            )
        before[new] = old
    module.log = partial(_log, module, names)  # type: ignore[method-assign]


def _log(
    module: LightningModule, names: Mapping[str, str], /, name: str, *args: Any, **options: Any
) -> None:
    new = names.get(name, name)
    trainer = attached_trainer(module)
    if _STAGE in new and trainer is not None and trainer.state.stage is not None:
        new = new.replace(_STAGE, trainer.state.stage.dataloader_prefix or "predict")
    type(module).log(module, new, *args, **options)
