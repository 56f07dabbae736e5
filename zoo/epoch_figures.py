"""Figures that a checkpoint would forget."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torchmetrics import Metric

from zoo.checkpointing import in_epoch
from zoo.metrics_log import figures_of


class EpochFigures(Callback):
    """Carries figures through a checkpoint, so that a resumed run reports those of one never cut.

    These are the last figures, for a run that is cut after its last step, and what the means of
    an unfinished epoch are made of so far: the states of the module's metrics, and the sums
    behind ``self.log``. Several processes gather each its own, of which the checkpoint holds
    none: there an epoch's figures count from the resume on.
    """

    def __init__(self) -> None:
        self.before: dict[str, float] = {}
        """The figures of the checkpoint; empty for a run that was not resumed."""
        self._metrics: dict[str, dict[str, Any]] = {}
        self._logged: dict[str, dict[str, Any]] = {}

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note the figures, and within an epoch the sums."""
        found: dict[str, Any] = {"last": figures_of(trainer), "metrics": {}, "logged": {}}
        if trainer.world_size == 1 and in_epoch(trainer):
            found["metrics"] = {
                name: _state(module)
                for name, module in pl_module.named_modules()
                if isinstance(module, Metric) and module.update_called
            }
            found["logged"] = {key: _state(each) for key, each in _logged(trainer).items()}
        checkpoint["zoo_figures"] = found

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep what was noted until training goes on."""
        found = checkpoint.get("zoo_figures", {})
        self.before = found.get("last", {})
        if trainer.world_size == 1:
            self._metrics, self._logged = found.get("metrics", {}), found.get("logged", {})

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the states of the module's metrics back."""
        modules = dict(pl_module.named_modules())
        for name, state in self._metrics.items():
            metric = modules[name]
            assert isinstance(metric, Metric)
            for key, value in state.items():
                setattr(metric, key, value)
            metric._update_count = 1
            metric.to(pl_module.device)
        self._metrics = {}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add to each logged figure what came before the resume; it exists once it is logged."""
        for key, metric in _logged(trainer).items() if self._logged else ():
            state = self._logged.pop(key, {})
            for name, value in state.items():
                now = getattr(metric, name)
                value = value.to(now.device)
                extreme = metric.meta.is_max_reduction or metric.meta.is_min_reduction
                setattr(metric, name, metric.meta.reduce_fx(now, value) if extreme else now + value)


def _logged(trainer: Trainer) -> dict[str, Any]:
    """The means, sums and extremes that Lightning gathers over a training epoch."""
    results = trainer.fit_loop.epoch_loop._results
    return {k: each for k, each in results.items() if each.is_tensor and each.meta.on_epoch}


def _state(metric: Metric) -> dict[str, Any]:
    return dict(metric.metric_state)
