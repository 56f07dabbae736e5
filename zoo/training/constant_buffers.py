"""Buffers that are no part of a model's state stay out of averages of weights."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from zoo.plugin._lightning_internals import averaged_modules


class ConstantBuffers(Callback):
    """Gives averaged models the very buffers that no checkpoint and no bundle keeps.

    Lightning's ``WeightAveraging`` averages every buffer. Of constants, such as the mean of the
    training pixels, it makes values that differ in the last digit, and the model that is tested
    would not be the one that is bundled.
    """

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any
    ) -> None:
        """Undo the average of this step."""
        self._restore(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Undo the average of this epoch."""
        self._restore(trainer, pl_module)

    @staticmethod
    def _restore(trainer: Trainer, module: LightningModule) -> None:
        averages = averaged_modules(trainer)
        if not averages:
            return
        state = module.state_dict(keep_vars=True)
        constants = {name: each for name, each in module.named_buffers() if name not in state}
        for average in averages:
            for name, buffer in average.named_buffers():
                if name in constants:
                    buffer.copy_(constants[name])
