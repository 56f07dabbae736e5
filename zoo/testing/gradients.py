"""Which parameters a training reaches."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.utils.hooks import RemovableHandle


class Gradients(Callback):
    """Notes which parameters a gradient reaches, and which change, over a whole training.

    Players that take turns are all seen, and so are learners that call ``backward`` themselves
    or set parameters without gradients.

    Attributes:
        reached: Parameters that got a gradient.
        bad: Those of them whose gradient was not finite at some time.
        changed: Parameters that ended with other values.
        stepped: Whether an optimizer holds any parameter.
    """

    def __init__(self) -> None:
        self.reached: set[str] = set()
        self.bad: set[str] = set()
        self.changed: set[str] = set()
        self.stepped = False
        self._before: dict[str, Tensor] = {}
        self._handles: list[RemovableHandle] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Watch the gradients of every parameter, those that a backward of its own gives too."""
        self.stepped = has_optimizer(trainer, pl_module)
        for name, parameter in pl_module.named_parameters():
            self._before[name] = parameter.detach().clone()
            if parameter.requires_grad:
                note: Any = partial(self._note, name)
                self._handles.append(parameter.register_post_accumulate_grad_hook(note))

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Those that were not yet trained when the training began."""
        for name, parameter in pl_module.named_parameters():
            self._note(name, parameter)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See what has changed."""
        self._release()
        for name, parameter in pl_module.named_parameters():
            before = self._before.get(name)
            if before is None or not torch.equal(before, parameter):
                self.changed.add(name)
        self._before = {}

    def on_exception(self, *args: Any) -> None:
        """Watch no longer."""
        self._release()

    def _note(self, name: str, parameter: Tensor) -> None:
        if parameter.grad is not None:
            self.reached.add(name)
            if not parameter.grad.isfinite().all():
                self.bad.add(name)

    def _release(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []


def has_optimizer(trainer: Trainer, module: LightningModule) -> bool:
    """Whether an optimizer of the Trainer holds a parameter of the module: where
    ``configure_optimizers`` returns None, Lightning makes one of nothing."""
    own = {id(parameter) for parameter in module.parameters()}
    return any(
        id(parameter) in own
        for optimizer in trainer.optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
    )
