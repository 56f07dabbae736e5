"""Learners without gradients: their steps, and what cannot share their work."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.model_helpers import is_overridden

from zoo.errors import UsageError
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


def refuse_processes_without_gradients(trainer: Trainer, model: LightningModule) -> None:
    """Refuse to share the work of a model in which there is no gradient to average.

    Args:
        trainer: With its strategy.
        model: About to be trained.

    Raises:
        UsageError: the strategy is a distributed one, and no parameter takes a gradient.
    """
    if not isinstance(trainer.strategy, DDPStrategy) or is_overridden("configure_model", model):
        return
    if any(parameter.requires_grad for parameter in model.parameters()):
        return
    raise UsageError(
        f"no gradient changes a parameter of this model ({type(model).__name__}), so that several "
        "processes would all do the same work: give --trainer.devices 1 and no --trainer.strategy"
    )
