"""Short trainings, on the CPU, through the Trainer and the callbacks of ``zoo train``."""

from __future__ import annotations

import random
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from zoo.plugin.counters import counters_of
from zoo.plugin.declarations import trainer_defaults
from zoo.plugin.parts import has_part
from zoo.recipes.signatures import instantiate
from zoo.recipes.trainer import Trainer as OwnTrainer
from zoo.testing.gradients import Gradients
from zoo.training.trainer import ResumableTrainer

if TYPE_CHECKING:
    from zoo.plugin.protocols import ZooLightningModule

EPOCHS, BATCHES = 2, 4


@dataclass
class Fitted:
    """The result of a short training.

    Attributes:
        model: The trained module.
        metrics: Everything it logged, by name.
        batches: Training batches it saw.
        counters: What it counted by the end of its training.
        parts: The stages that the data have: ``train``, and ``val`` and ``test`` where there are.
    """

    model: ZooLightningModule
    metrics: dict[str, float]
    batches: int
    counters: dict[str, int]
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


def fit(
    model: ZooLightningModule,
    data: LightningDataModule,
    folder: Path,
    seen: Gradients | None = None,
    **settings: Any,
) -> Fitted:
    """Train two short epochs, then test on what is left of the data's test part.

    Args:
        model: Fresh.
        data: Fresh.
        folder: For its checkpoints.
        seen: Notes what the training reaches, also of one that fails.
        settings: Of the Trainer, in place of those of a short training.
    """
    count = CountBatches()
    trainer = run_trainer(model, data, folder, [count, *([seen] if seen else [])], **settings)
    metrics, counted = _logged(trainer), counters_of(trainer)
    validated = settings.get("limit_val_batches") != 0 and has_part(data, "val")
    parts = ["train", *(["val"] if validated else [])]
    if has_part(data, "test"):
        trainer.test(model, datamodule=data, verbose=False)
        metrics |= _logged(trainer)
        parts.append("test")
    return Fitted(model, metrics, count.count, counted, tuple(parts))


def run_trainer(
    model: LightningModule,
    data: LightningDataModule,
    folder: Path,
    callbacks: Sequence[Callback] = (),
    resume: bool = False,
    **settings: Any,
) -> Trainer:
    """Train, with a checkpoint in ``folder`` that ``resume`` continues from.

    Settings that the model declares hold where a short training does not need others.
    """
    wanted = instantiate(OwnTrainer, trainer_defaults(type(model)))
    epochs = wanted.get("max_epochs", EPOCHS)
    resumable = ResumableTrainer(
        {
            **wanted,
            "max_epochs": epochs if 0 < epochs < EPOCHS else EPOCHS,
            "limit_train_batches": BATCHES,
            "limit_val_batches": 2,
            "limit_test_batches": 2,
            "accelerator": "cpu",
            "devices": 1,
            "num_sanity_val_steps": 0,
            "log_every_n_steps": 1,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            **settings,
        },
        folder,
        folder / "last.ckpt",
        folder / "metrics.csv",
        callbacks,
    )
    resumable.fit(model, data, resume=resume)
    return resumable.trainer


def seed_all(seed: int) -> None:
    """Seed Python's, numpy's and torch's generators; the environment stays as it is."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _logged(trainer: Trainer) -> dict[str, float]:
    return {name: float(value) for name, value in trainer.callback_metrics.items()}
