"""The private fields of Lightning and torchmetrics that the zoo depends on: all of them.

Each stands here once, under a name that says what it is for, with a test that fails with a
sentence when a release moves it (``tests/test_lightning_internals.py``).
"""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torchmetrics import Metric


def metrics_about_to_be_logged(trainer: Trainer) -> dict[str, Any]:
    """The epoch's metrics as its loggers will get them, which is after the last callback."""
    return trainer._logger_connector.metrics["log"]


def batches_that_stepped(trainer: Trainer) -> int:
    """Batches after which an optimizer stepped: the step that Lightning's loggers are given."""
    return trainer.fit_loop.epoch_loop._batches_that_stepped


def epoch_means(trainer: Trainer) -> dict[str, Any]:
    """The means, sums and extremes that ``self.log`` gathers over a training epoch, by key."""
    results: Any = trainer.fit_loop.epoch_loop._results
    return {k: each for k, each in results.items() if each.is_tensor and each.meta.on_epoch}


def mark_updated(metric: Metric) -> None:
    """Let a metric whose states were put back compute, as if it had been updated itself."""
    metric._update_count = 1


def in_epoch(trainer: Trainer) -> bool:
    """Whether a training epoch has begun and not ended."""
    progress: Any = trainer.fit_loop.epoch_progress.current
    begun: bool = progress.processed < progress.started
    return begun


def attached_trainer(module: LightningModule) -> Trainer | None:
    """The Trainer that a module is attached to; None where ``module.trainer`` would raise."""
    return module._trainer


def training_batches(trainer: Trainer) -> float:
    """Batches of a training epoch. The loaders are made if they are not yet, as in
    ``configure_optimizers``; infinite for a loader without a length."""
    trainer.fit_loop.setup_data()
    return trainer.num_training_batches
