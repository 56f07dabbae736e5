"""``overfit_batches`` takes the same batches in every epoch, with every loader of the zoo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import TensorDataset

from zoo.plugin.loaders import EpochSampler, ResumableLoader
from zoo.training.overfitting import Overfitting


class TellingLoader(ResumableLoader):
    """Batches that depend on the epoch, and a constructor that takes no sampler."""

    def __init__(self, size: int) -> None:
        super().__init__(TensorDataset(torch.arange(size)), 2)

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        assert isinstance(self.sampler, EpochSampler)
        for (batch,) in super().__iter__():
            yield batch + 100 * self.sampler.epoch


class Noting(LightningModule):
    """Notes what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: dict[str, list[list[int]]] = {"train": [], "val": []}

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.seen["train"].append(batch.tolist())
        return self.weight * 1

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.seen["val"].append(batch.tolist())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.parametrize("batches", [1, 2])
def test_the_same_batches_in_every_epoch(tmp_path: Path, batches: int) -> None:
    model = Noting()
    trainer = Trainer(
        overfit_batches=batches,
        max_epochs=3,
        callbacks=[Overfitting()],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
        default_root_dir=tmp_path,
    )
    trainer.fit(model, TellingLoader(12), TellingLoader(12))
    for seen in model.seen.values():
        assert len(seen) == 3 * batches
        assert seen == 3 * seen[:batches]


def test_otherwise_epochs_differ(tmp_path: Path) -> None:
    model = Noting()
    trainer = Trainer(
        limit_train_batches=1,
        max_epochs=2,
        callbacks=[Overfitting()],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(model, TellingLoader(12))
    first, second = model.seen["train"]
    assert min(second) >= 100 > max(first)
