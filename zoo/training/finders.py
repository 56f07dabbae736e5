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

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note what was found."""
        checkpoint["zoo_found"] = {
            name: lightning_getattr(pl_module, name)
            for finder, name in _finders(trainer, pl_module)
            if _has_found(finder)
        }

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Set it, before loaders and optimizers are made, and let its finder rest."""
        found = checkpoint.get("zoo_found", {})
        for finder, name in _finders(trainer, pl_module):
            if name in found:
                lightning_setattr(pl_module, name, found[name])
                setattr(finder, "on_fit_start", _nothing)  # noqa: B010


def _finders(
    trainer: Trainer, module: LightningModule
) -> list[tuple[LearningRateFinder | BatchSizeFinder, str]]:
    return [
        (each, searched_attribute(each, module))
        for each in trainer.callbacks  # type: ignore[attr-defined]
        if isinstance(each, (LearningRateFinder, BatchSizeFinder))
    ]


def _has_found(finder: LearningRateFinder | BatchSizeFinder) -> bool:
    if isinstance(finder, BatchSizeFinder):
        return finder.optimal_batch_size is not None
    return finder.optimal_lr is not None


def _nothing(*_: Any) -> None:
    """In place of a search."""
