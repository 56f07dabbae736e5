"""A training whose loss is NaN or infinite stops, and keeps what it had learned before."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from zoo.errors import ZooError

_WINDOW = 50
"""Batches between two looks at the losses where a look has a price: on an accelerator, which it
makes wait, and with several processes, which have to agree."""


class NonFiniteLoss(ZooError):
    """The loss, or a weight, became NaN or infinite."""


class FiniteLoss(Callback):
    """Stops a training whose loss is NaN or infinite.

    Every run has one. On a CPU it looks at each loss; elsewhere at the last 50 together, before
    every checkpoint and at the end of every epoch. A checkpoint is not written of weights that
    are not finite. A learner that has no loss is not asked for one.

    Args:
        stop: False lets such a training continue. For this, a recipe names this class among
            ``trainer.callbacks``.
    """

    def __init__(self, stop: bool = True) -> None:
        self._stop = stop
        self._losses: list[Tensor] = []
        self._has_loss = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the loss, now or later.

        Raises:
            NonFiniteLoss: it is NaN or infinite.
        """
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if not self._stop or not isinstance(loss, Tensor):
            return
        self._has_loss = True
        # a copy, as the memory may be used again (CUDA graphs)
        self._losses.append(loss.detach().flatten().clone())
        cheap = loss.device.type == "cpu" and trainer.world_size == 1
        if cheap or len(self._losses) == _WINDOW:
            self._look(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at what was not looked at, and at the mean loss of a module that steps its
        optimizers itself, whose ``training_step`` need not return one.

        Raises:
            NonFiniteLoss: it is NaN or infinite.
        """
        if not self._stop:
            return
        self._look(trainer)
        mean = trainer.callback_metrics.get("train/loss")
        if mean is not None and not self._has_loss and not bool(mean.isfinite().all()):
            self._raise(trainer, f"train/loss is {float(mean)}", trainer.global_step)

    def require_finite(self, trainer: Trainer) -> None:
        """Before a checkpoint: the losses so far and the weights have to be finite.

        Raises:
            NonFiniteLoss: they are not.
        """
        if not self._stop or not self._has_loss:
            return
        self._look(trainer)
        module = trainer.lightning_module
        finite = {n: p.detach().isfinite().all() for n, p in module.named_parameters()}
        wrong = [name for name, every in finite.items() if not every]
        if _any(trainer, bool(wrong)):
            which = f", first in {wrong[0]}" if wrong else " in another process"
            self._raise(
                trainer, f"there are weights that are not finite{which}", trainer.global_step
            )

    def _look(self, trainer: Trainer) -> None:
        losses, self._losses = self._losses, []
        if not losses:
            return
        values = torch.cat(losses).tolist()
        wrong = [index for index, value in enumerate(values) if not math.isfinite(value)]
        if not _any(trainer, bool(wrong)):
            return
        value = values[wrong[0]] if wrong else "not finite in another process"
        ago = len(values) - 1 - wrong[0] if wrong else 0
        step = trainer.global_step - ago // trainer.accumulate_grad_batches
        self._raise(trainer, f"the loss is {value}", step)

    def _raise(self, trainer: Trainer, what: str, step: int) -> None:
        raise NonFiniteLoss(
            f"{what} in step {step} (epoch {trainer.current_epoch + 1}), so the training was "
            f"stopped; {trainer.default_root_dir} keeps the last checkpoint from before, if there "
            "was one. Lower the learning rate, clip the gradients (--trainer.gradient_clip_val 1) "
            f"or look for NaN in the data. To train on regardless, name {__name__}.FiniteLoss "
            "with `stop: false` among trainer.callbacks"
        )


def _any(trainer: Trainer, here: bool) -> bool:
    """Whether it is so in any process."""
    if trainer.world_size == 1:
        return here
    anywhere: bool = trainer.strategy.reduce_boolean_decision(here, all=False)
    return anywhere
