"""Points in clouds, generated or read."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import TensorDataset

from zoo.plugin import ResumableLoader, UsageError


class Points(LightningDataModule):
    """Clouds of points on a circle.

    Args:
        batch_size: Points in a batch.
        num_workers: Processes that prepare batches.
        seed: Seed of the order.
        split: Kept for the interface.
        clouds: How many clouds there are.
        size: Points of the training part.
    """

    def __init__(
        self,
        batch_size: int = 8,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        clouds: int = 3,
        size: int = 40,
    ) -> None:
        super().__init__()
        self.batch_size, self.num_workers, self.seed = batch_size, num_workers, seed
        self.clouds, self.size = clouds, size
        self.parts: dict[str, TensorDataset] = {}

    @property
    def facts(self) -> dict[str, Any]:
        names = [f"cloud {index}" for index in range(self.clouds)]
        return {"features": 2, "num_classes": self.clouds, "label_names": names}

    def setup(self, stage: str) -> None:
        draw = torch.Generator().manual_seed(0)  # the data are the same for every seed
        for part, size in (("train", self.size), ("val", 16), ("test", 24)):
            labels = torch.arange(size) % self.clouds
            angle = 2 * torch.pi * labels / self.clouds
            points = torch.stack([angle.cos(), angle.sin()], 1)
            points = points + 0.3 * torch.randn(size, 2, generator=draw)
            self.parts[part] = TensorDataset(points, labels)

    def train_dataloader(self) -> ResumableLoader:
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> ResumableLoader:
        return self._loader("val", shuffle=False)

    def test_dataloader(self) -> ResumableLoader:
        return self._loader("test", shuffle=False)

    def _loader(self, part: str, shuffle: bool) -> ResumableLoader:
        data = self.parts[part]
        workers = self.num_workers
        return ResumableLoader(data, self.batch_size, self.seed, shuffle, num_workers=workers)


class Files(Points):
    """Clouds of points whose number is read from a file.

    Args:
        root: Folder that holds ``clouds.txt``.
        batch_size: Points in a batch.
        num_workers: Processes that prepare batches.
        seed: Seed of the order.
    """

    def __init__(self, root: str, batch_size: int = 8, num_workers: int = 0, seed: int = 0) -> None:
        super().__init__(batch_size, num_workers, seed)
        self.file = Path(root) / "clouds.txt"

    @property
    def facts(self) -> dict[str, Any]:
        if not self.file.is_file():
            raise UsageError(f"there is no {self.file}: write the number of clouds into it")
        self.clouds = int(self.file.read_text())
        return super().facts
