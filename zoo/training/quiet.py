"""Lightning without its advertisements and advice, in every process that trains."""

from __future__ import annotations

import logging
import warnings
from typing import Any

from lightning.pytorch import Callback

_ADVICE = (
    ".*does not have many workers.*",
    ".*smaller than the logging interval.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*is not resumable.*",
    ".*passed in a `val_dataloader` but have no `validation_step`.*",  # as of `test_step`
    ".*overridden `on_before_batch_transfer` in `LightningModule` but.*",  # AdaptedModule
    ".*Total length of `list` across ranks is zero.*",  # a part that the data do not have
    ".*using `DistributedSampler` with the dataloaders.*",
    ".*isinstance.treespec, LeafSpec.*",
    ".*configure_optimizers.* returned .None., this fit will run with no optimizer.*",
    ".*module.s. in eval mode at the start of training.*",  # its constructor chose that
    "Grad strides do not match bucket view strides.*",
)


def quiet_lightning() -> None:
    """Leave Lightning's advertisements and advice out; warnings of other kinds stay."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    for message in _ADVICE:
        warnings.filterwarnings("ignore", message)


class Quiet(Callback):
    """Where a strategy starts its processes itself, as ``ddp_spawn`` does, they are as quiet: it
    comes to them with the Trainer, before anything is said there."""

    def __reduce__(self) -> Any:
        return _quiet, ()


def _quiet() -> Quiet:
    quiet_lightning()
    return Quiet()
