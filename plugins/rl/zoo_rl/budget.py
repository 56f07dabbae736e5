"""Stop training after a number of environment steps."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback


class EnvironmentSteps(Callback):
    """Ends the training with the first epoch that reaches the datamodule's budget.

    The Trainer itself counts optimizer steps. A module adds this callback in its
    ``configure_callbacks``; the datamodule has ``env_steps``, the steps played for training so
    far, and ``budget``, how many there may be, or None.
    """

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop if the budget is used up."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        budget = getattr(data, "budget", None)
        if budget is not None and data.env_steps >= budget:
            trainer.should_stop = True
