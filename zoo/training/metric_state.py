"""Metrics that a checkpoint would forget."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torchmetrics import Metric

from zoo.plugin._lightning_internals import epoch_means, in_epoch, mark_updated, restore_metrics


class MetricState(Callback):
    """Carries metrics through a checkpoint, so that a resumed run reports those of one never cut.

    These are the last metrics, which callbacks monitor and a run that is cut after its last step
    reports, and what the means of
    an unfinished epoch are made of so far: the states of the module's metrics, and the sums
    behind ``self.log``. Several processes gather each its own, of which the checkpoint holds
    none: there an epoch's metrics count from the resume on.
    """

    def __init__(self) -> None:
        self._last: dict[str, Tensor] = {}
        self._metrics: dict[str, dict[str, Any]] = {}
        self._logged: dict[str, dict[str, Any]] = {}

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note the metrics, and within an epoch the sums."""
        last = {name: value.detach().cpu() for name, value in trainer.callback_metrics.items()}
        found: dict[str, Any] = {"last": last, "metrics": {}, "logged": {}}
        if trainer.world_size == 1 and in_epoch(trainer):
            found["metrics"] = {
                name: _state(module)
                for name, module in pl_module.named_modules()
                if isinstance(module, Metric) and module.update_called
            }
            found["logged"] = {key: _state(each) for key, each in epoch_means(trainer).items()}
        checkpoint["zoo_metrics"] = found

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep what was noted until training continues."""
        found = checkpoint.get("zoo_metrics") or checkpoint.get(
            "zoo_figures", {}
        )  # as 0.1.0 wrote it
        self._last = {k: torch.as_tensor(value) for k, value in found.get("last", {}).items()}
        if trainer.world_size == 1:
            self._metrics, self._logged = found.get("metrics", {}), found.get("logged", {})

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the last metrics and the states of the module's metrics back."""
        restore_metrics(trainer, self._last)
        modules = dict(pl_module.named_modules())
        for name, state in self._metrics.items():
            metric = modules[name]
            assert isinstance(metric, Metric)
            for key, value in state.items():
                setattr(metric, key, value)
            mark_updated(metric)
            metric.to(pl_module.device)
        self._metrics = {}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add to each logged metric what came before the resume; it exists once it is logged."""
        for key, metric in epoch_means(trainer).items() if self._logged else ():
            state = self._logged.pop(key, {})
            for name, value in state.items():
                now = getattr(metric, name)
                value = value.to(now.device)
                extreme = metric.meta.is_max_reduction or metric.meta.is_min_reduction
                setattr(metric, name, metric.meta.reduce_fx(now, value) if extreme else now + value)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the means of a training step that logs now and then, and did not since the resume."""
        logged, self._logged = self._logged, {}
        for key, state in logged.items():
            hook, _, name = key.partition(".")
            count = state.get("cumulated_batch_size")
            if hook == "training_step" and count:
                value = (state["value"] / count).to(pl_module.device)
                type(pl_module).log(pl_module, name, value)  # it has its new name


def _state(metric: Metric) -> dict[str, Any]:
    return dict(metric.metric_state)
