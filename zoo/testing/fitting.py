"""Short trainings, on the CPU, through the Trainer and the callbacks of ``zoo train``."""

from __future__ import annotations

import random
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from zoo.checkpointing import DurableCheckpointIO, LastCheckpoint, LoaderPosition, RandomState
from zoo.epoch_figures import EpochFigures
from zoo.metrics_log import MetricsLog
from zoo.trainers import quiet_lightning

EPOCHS, BATCHES = 2, 4


@dataclass
class Fitted:
    """What a short training left.

    Attributes:
        model: The trained module.
        figures: Everything it logged, by name.
        batches: Training batches it saw.
        parts: The stages that the data have: ``train``, and ``val`` and ``test`` where there are.
    """

    model: LightningModule
    figures: dict[str, float]
    batches: int
    parts: tuple[str, ...]


class CountBatches(Callback):
    """Counts training batches, and presses Ctrl-C after one of them.

    Args:
        interrupt_after: The batch, counted from 1; 0 for none.
    """

    def __init__(self, interrupt_after: int = 0) -> None:
        self.count = 0
        self._interrupt_after = interrupt_after

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
        """Count."""
        self.count += 1
        if self.count == self._interrupt_after:
            signal.raise_signal(signal.SIGINT)


def fit(model: LightningModule, data: LightningDataModule, folder: Path) -> Fitted:
    """Train two short epochs, then test on what is left of the data's test part."""
    count = CountBatches()
    trainer = run_trainer(model, data, folder, [count])
    figures = _logged(trainer)
    parts = ["train", *(["val"] if has_part(data, "val") else [])]
    if has_part(data, "test"):
        trainer.test(model, datamodule=data, verbose=False)
        figures |= _logged(trainer)
        parts.append("test")
    return Fitted(model, figures, count.count, tuple(parts))


def run_trainer(
    model: LightningModule,
    data: LightningDataModule,
    folder: Path,
    callbacks: Sequence[Callback] = (),
    resume: bool = False,
    **settings: Any,
) -> Trainer:
    """Train, with a checkpoint in ``folder`` that ``resume`` continues from."""
    quiet_lightning()
    log = MetricsLog(folder / "metrics.csv")
    last = LastCheckpoint(folder / "last.ckpt", log)
    trainer = Trainer(
        **{
            "max_epochs": EPOCHS,
            "limit_train_batches": BATCHES,
            "limit_val_batches": 2,
            "limit_test_batches": 2,
            **settings,
        },
        accelerator="cpu",
        devices=1,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        logger=log,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=[RandomState(), LoaderPosition(), EpochFigures(), *callbacks, last],
        plugins=[DurableCheckpointIO()],
    )
    checkpoint = folder / "last.ckpt" if resume else None
    try:
        trainer.fit(model, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    finally:
        last.release()
    return trainer


def has_part(data: LightningDataModule, part: str) -> bool:
    """Whether the datamodule has a loader of that stage; an empty list is none."""
    name = f"{part}_dataloader"
    if getattr(type(data), name) is getattr(LightningDataModule, name):
        return False
    data.setup({"train": "fit", "val": "fit"}.get(part, part))
    loaders = getattr(data, name)()
    return not isinstance(loaders, list) or bool(loaders)


def seed_all(seed: int) -> None:
    """Seed Python's, numpy's and torch's generators; the environment stays as it is."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _logged(trainer: Trainer) -> dict[str, float]:
    return {name: float(value) for name, value in trainer.callback_metrics.items()}
