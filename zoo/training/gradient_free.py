"""The steps of a learner that has no optimizer."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from zoo.plugin._lightning_internals import count_step_without_optimizer


class GradientFreeSteps(Callback):
    """Counts every batch as a step where ``configure_optimizers`` returned None and the
    optimization is manual.

    Lightning counts the steps of optimizers alone: ``trainer.global_step`` would stay 0, with which
    ``max_steps`` never ends a training and a ``ModelCheckpoint`` never saves.
    """

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A batch is a step."""
        count_step_without_optimizer(trainer)
