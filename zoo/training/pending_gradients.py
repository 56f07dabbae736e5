"""Gradients that wait for those of the next batches, carried through a checkpoint."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor


class PendingGradients(Callback):
    """Keeps the gradients that a module of manual optimization has at the end of a batch.

    It may gather them over several batches, and over the end of an epoch. Where Lightning
    optimizes, checkpoints are written between two steps.
    """

    def __init__(self) -> None:
        self._gradients: dict[str, Tensor] = {}

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note those that are there; of a strategy that shards them, none."""
        if not pl_module.automatic_optimization:
            found = {name: each.grad for name, each in pl_module.named_parameters()}
            checkpoint["zoo_gradients"] = {k: v for k, v in found.items() if type(v) is Tensor}

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep them until the parameters are on their device."""
        self._gradients = checkpoint.get("zoo_gradients", {})

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put them back."""
        gradients, self._gradients = self._gradients, {}
        for name, parameter in pl_module.named_parameters():
            if name in gradients:
                parameter.grad = gradients[name].to(parameter.device)
