"""``overfit_batches``: every epoch has the same batches."""

from __future__ import annotations

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.combined_loader import CombinedLoader

from zoo.plugin.loaders import ResumableLoader


class Overfitting(Callback):
    """Lets the loaders repeat their first epoch where the Trainer is to overfit.

    Lightning would make them anew with a sampler that does not shuffle. Those whose batches come
    from the epoch, as the episodes of an agent do, would still differ from epoch to epoch.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The training's."""
        if getattr(trainer, "overfit_batches", 0):
            _repeat(trainer.train_dataloader)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The validation's."""
        if getattr(trainer, "overfit_batches", 0):
            _repeat(trainer.val_dataloaders)


def _repeat(loaders: object) -> None:
    for loader in CombinedLoader(loaders).flattened:
        if isinstance(loader, ResumableLoader):
            loader.repeat_first_epoch()
