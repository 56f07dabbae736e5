"""Pictures with outlined shapes, drawn on the spot: replace `draw` by the reading of your own
data."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader, Dataset, TensorDataset

from zoo.plugin import ResumableLoader, UsageError

LABELS = ["background", "disc", "cross"]
SIZE = 32
PARTS = {"train": 256, "val": 64, "test": 128}


def draw(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy gray pictures, each of a disc and a cross that are equally bright.

    Args:
        count: How many.
        seed: The same seed draws the same pictures.

    Returns:
        uint8 pictures (count, 1, SIZE, SIZE), and int64 masks (count, SIZE, SIZE) whose values
        are positions in ``LABELS``.
    """
    random = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    masks = torch.zeros(count, SIZE, SIZE, dtype=torch.int64)
    for label in (1, 2):  # where they overlap, the cross is in front
        center = 7 + (SIZE - 14) * torch.rand(count, 2, 1, 1, generator=random)
        radius = 4 + 3 * torch.rand(count, 1, 1, generator=random)
        y, x = (rows - center[:, 0]).abs(), (columns - center[:, 1]).abs()
        far, near = torch.maximum(x, y), torch.minimum(x, y)
        disc, cross = x**2 + y**2 < radius**2, (far < radius) & (near < radius / 2.5)
        masks[disc if label == 1 else cross] = label
    noise = 0.1 * torch.randn(count, SIZE, SIZE, generator=random)
    pixels = (0.25 + 0.5 * (masks > 0) + noise).clamp(0, 1) * 255
    return pixels.round().to(torch.uint8)[:, None], masks


class ShapeMasks(LightningDataModule):
    """Pictures of a disc and a cross, and which pixel belongs to which.

    A batch is ``(images, masks)``: uint8 (N, 1, 32, 32) and int64 (N, 32, 32). The pictures are
    the same in every run; ``seed`` decides only the order of training.

    Args:
        batch_size: Pictures in a batch, in each process.
        num_workers: Processes that prepare batches; the data lie in memory, 0 is quickest.
        seed: Seed of the order of the training pictures.
        split: ``standard``, or ``all`` to make every picture test data.

    Raises:
        UsageError: ``split`` is neither.
    """

    def __init__(
        self, batch_size: int = 8, num_workers: int = 0, seed: int = 0, split: str = "standard"
    ) -> None:
        super().__init__()
        if split not in ("standard", "all"):
            raise UsageError(f"split {split!r} is neither 'standard' nor 'all'")
        self.batch_size, self.num_workers = batch_size, num_workers
        self.seed, self.split = seed, split
        self.parts: dict[str, Dataset[Any]] = {}

    @property
    def facts(self) -> dict[str, Any]:
        """Facts of the data; constructor arguments of the model with these names are filled
        in, so that no recipe repeats them."""
        return {
            "num_classes": len(LABELS),
            "label_names": LABELS,
            "in_channels": 1,
            "image_size": [SIZE, SIZE],
        }

    def setup(self, stage: str) -> None:
        """Draw the pictures, once."""
        if self.parts:
            return
        sets: list[Dataset[Any]] = [
            TensorDataset(*draw(count, seed)) for seed, count in enumerate(PARTS.values())
        ]
        if self.split == "all":
            self.parts = {"test": ConcatDataset(sets)}
        else:
            self.parts = dict(zip(PARTS, sets, strict=True))

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[Any]:
        return self._loader("test")

    def _loader(self, part: str, shuffle: bool = False) -> DataLoader[Any]:
        if part not in self.parts:
            raise UsageError(f"with split='all' there is no {part} part: use split='standard'")
        # This loader is what lets a stopped run continue at the very batch.
        return ResumableLoader(
            self.parts[part], self.batch_size, self.seed, shuffle, num_workers=self.num_workers
        )
