"""Points of a noisy ring, drawn when they are asked for: replace `draw` by the source of your own
samples."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from zoo.plugin import ResumableLoader, UsageError

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


class Drawn(Dataset[Tensor]):
    """Samples that are drawn one by one; each depends on the seed and its number alone.

    Args:
        count: How many.
        seed: The same seed draws the same samples.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Tensor:
        return draw(torch.Generator().manual_seed((self.seed << 32) + index))


class RingPoints(LightningDataModule):
    """Points of a noisy ring.

    A batch is float32 (N, 2). Those of validation and test are the same in every run and come as
    one batch, as the model compares sets of points.

    Args:
        batch_size: Points in a batch of training, in each process.
        num_workers: Processes that draw points.
        seed: Seed of the training points and of their order.
        split: ``standard``, or ``all`` to test on the points of validation too.

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
        samples = Drawn(PARTS["train"], 2 + self.seed)
        # This loader is what lets a stopped run continue at the very batch.
        return ResumableLoader(samples, self.batch_size, self.seed, num_workers=self.num_workers)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._whole(PARTS["val"], 0)

    def test_dataloader(self) -> DataLoader[Any]:
        return self._whole(PARTS["test"] + (PARTS["val"] if self.split == "all" else 0), 1)

    def _whole(self, count: int, seed: int) -> DataLoader[Any]:
        return ResumableLoader(Drawn(count, seed), count, shuffle=False)
