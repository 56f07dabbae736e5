"""Stop training after a number of environment steps."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from zoo.plugin import rank_zero_print


class MaxEnvSteps(Callback):
    """Ends the training with the first epoch that reaches the datamodule's ``max_env_steps``.

    The Trainer itself counts optimizer steps. A module adds this callback in its
    ``configure_callbacks``; the datamodule has ``env_steps``, the steps played for training so
    far, and ``max_env_steps``, how many there may be, or None.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A run that was cut after its last epoch has nothing left to train."""
        self.on_train_epoch_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop if the steps are used up."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        limit = getattr(data, "max_env_steps", None)
        if limit is not None and data.env_steps >= limit and not trainer.should_stop:
            trainer.should_stop = True
            rank_zero_print(
                f"training ends after epoch {trainer.current_epoch + 1}: {data.env_steps} "
                f"environment steps are played, and max_env_steps is {limit}"
            )
