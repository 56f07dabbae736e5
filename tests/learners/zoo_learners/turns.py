"""Players that learn in turns, each by an optimizer and a loss of its own."""

from collections.abc import Callable, Mapping

from lightning.pytorch import LightningModule
from torch import Tensor


def take_turns(module: LightningModule, losses: Mapping[str, Callable[[], Tensor]]) -> None:
    """A step of each optimizer, in order, on the loss that is computed when its turn comes.

    Args:
        module: With manual optimization.
        losses: The players' names to their losses, logged as ``train/NAME``.
    """
    for optimizer, (name, loss_of) in zip(module.optimizers(), losses.items(), strict=True):
        loss = loss_of()
        optimizer.zero_grad()
        module.manual_backward(loss)
        optimizer.step()
        module.log(f"train/{name}", loss, on_step=False, on_epoch=True)
