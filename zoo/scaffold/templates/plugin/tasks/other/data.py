"""Points of a noisy ring, drawn when they are asked for: replace `draw` by the source of your own
samples."""

from __future__ import annotations

from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from zoo.plugin import GeneratedSamples, ResumableLoader, UsageError

DIMENSIONS = 2
PARTS = {"train": 4096, "val": 512, "test": 1024}


def draw(random: torch.Generator) -> Tensor:
    """A point near the circle of radius 1.

    Args:
        random: All that is drawn from it alone.

    Returns:
        float32 (DIMENSIONS,).
    """
    angle = 2 * torch.pi * torch.rand((), generator=random)
    radius = 1 + 0.05 * torch.randn((), generator=random)
    return radius * torch.stack([angle.cos(), angle.sin()])


class RingPoints(LightningDataModule):
    """Points of a noisy ring.

    A batch is float32 (N, 2). Every epoch of a training has new points. Those of validation and
    test are the same in every run and come as one batch, as the model compares sets of points.

    Args:
        batch_size: Points in a batch of training, in each process.
        num_workers: Processes that draw points.
        seed: Seed of the training points.
        split: ``standard``, or ``all`` to test on as many points as validation and test have.

    Raises:
        UsageError: ``split`` is neither.
    """

    def __init__(
        self, batch_size: int = 128, num_workers: int = 0, seed: int = 0, split: str = "standard"
    ) -> None:
        super().__init__()
        if split not in ("standard", "all"):
            raise UsageError(f"split {split!r} is neither 'standard' nor 'all'")
        self.batch_size, self.num_workers = batch_size, num_workers
        self.seed, self.split = seed, split

    @property
    def facts(self) -> dict[str, Any]:
        """Facts of the data; constructor arguments of the model with these names are filled
        in, so that no recipe repeats them."""
        return {"dimensions": DIMENSIONS}

    def train_dataloader(self) -> DataLoader[Any]:
        # New points in every epoch, and a stopped run continues at the very batch.
        samples = GeneratedSamples(draw, PARTS["train"], self.seed)
        return ResumableLoader(samples, self.batch_size, self.seed, num_workers=self.num_workers)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._whole("val", PARTS["val"])

    def test_dataloader(self) -> DataLoader[Any]:
        return self._whole("test", PARTS["test"] + (PARTS["val"] if self.split == "all" else 0))

    def _whole(self, part: Literal["val", "test"], count: int) -> DataLoader[Any]:
        return ResumableLoader(GeneratedSamples(draw, count, part=part), count, shuffle=False)
