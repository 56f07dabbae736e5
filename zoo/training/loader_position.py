"""The position of the data loaders in their epoch, carried through a checkpoint."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.combined_loader import CombinedLoader

from zoo.plugin._lightning_internals import in_epoch
from zoo.plugin.loaders import ResumableLoader
from zoo.plugin.streams import ResumableStream


class LoaderPosition(Callback):
    """Carries the position of every loader that has one in its epoch through a checkpoint.

    Lightning would do it, but not where ``configure_optimizers`` asks for the number of steps:
    then the loaders are in place before the checkpoint is read.
    """

    def __init__(self) -> None:
        self._states: list[dict[str, int]] = []

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note the positions; an epoch may have ended before its loaders (``limit_train_batches``),
        which then start over."""
        states = [loader.state_dict() for loader in _loaders(trainer)]
        if not in_epoch(trainer):
            states = [{**state, "batches": 0} for state in states]
        checkpoint["zoo_loaders"] = states

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep the positions until the loaders exist."""
        self._states = checkpoint.get("zoo_loaders", [])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let each loader continue; the loaders wait with their work for the first batch."""
        states, self._states = self._states, []
        if states:
            for loader, state in zip(_loaders(trainer), states, strict=True):
                loader.load_state_dict(state)


def _loaders(trainer: Trainer) -> list[ResumableLoader | ResumableStream]:
    loaders = CombinedLoader(trainer.train_dataloader).flattened
    return [loader for loader in loaders if isinstance(loader, (ResumableLoader, ResumableStream))]
