"""What Lightning's finders of learning rate and batch size found, carried through a checkpoint."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BatchSizeFinder, Callback, LearningRateFinder
from lightning.pytorch.utilities.parsing import lightning_getattr, lightning_setattr

from zoo.plugin._lightning_internals import searched_attribute


class FoundSettings(Callback):
    """Keeps a resumed training from searching again, with weights that are trained already.

    Lightning's finders search at the start of every fit, and what they restore afterwards is the
    start of a training: one that was continued would begin at its first epoch.
    """

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note what was found; the searches, which save and load checkpoints too, are over."""
        for _, name in _finders(trainer, pl_module):
            self._found[name] = lightning_getattr(pl_module, name)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep it."""
        checkpoint["zoo_found"] = dict(self._found)

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Set it, before loaders and optimizers are made, and let its finder rest."""
        self._found = checkpoint.get("zoo_found", {})
        for finder, name in _finders(trainer, pl_module):
            if name in self._found:
                lightning_setattr(pl_module, name, self._found[name])
                setattr(finder, "on_fit_start", _nothing)  # noqa: B010


def _finders(
    trainer: Trainer, module: LightningModule
) -> list[tuple[LearningRateFinder | BatchSizeFinder, str]]:
    return [
        (each, searched_attribute(each, module))
        for each in trainer.callbacks  # type: ignore[attr-defined]
        if isinstance(each, (LearningRateFinder, BatchSizeFinder))
    ]


def _nothing(*_: Any) -> None:
    """In place of a search."""
