"""A stream until solved: the adding problem of long short-term memory (Hochreiter, Schmidhuber,
Neural Computation 1997), short sequences."""

from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from zoo.plugin import BaseDataModule, GeneratedSamples, Part

LENGTH = 5


def sequence(random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Numbers and two marks, (LENGTH, 2), and the sum of the marked numbers."""
    numbers, marks = torch.rand(LENGTH, generator=random), torch.zeros(LENGTH)
    marks[torch.randperm(LENGTH, generator=random)[:2]] = 1
    return torch.stack([numbers, marks], 1), numbers @ marks


class Additions(BaseDataModule[GeneratedSamples]):
    """An endless stream of sequences."""

    def __init__(self, batch_size: int = 50, **options: Any) -> None:
        super().__init__(root="the stream", batch_size=batch_size, **options)

    def samples(self, part: Part) -> GeneratedSamples:
        return GeneratedSamples(
            sequence, {"train": 2000, "val": 200, "test": 200}[part], self.seed, part
        )


class Adder(LightningModule):
    """An LSTM that adds.

    Args:
        hidden: Its cells.
        lr: Learning rate of Adam.
    """

    metric_names: ClassVar = {"mse": "{stage}/mse"}

    def __init__(self, hidden: int = 16, lr: float = 0.01) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.lr = lr
        self.lstm, self.out = nn.LSTM(2, hidden, batch_first=True), nn.Linear(hidden, 1)
        self.counters = {"sequences": 0}

    @property
    def example_input(self) -> Tensor:
        return torch.stack([torch.ones(LENGTH, 2), torch.zeros(LENGTH, 2)])

    def forward(self, inputs: Tensor) -> Tensor:
        """Sums (N,)."""
        return self.out(self.lstm(inputs)[0][:, -1])[:, 0]

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        error = self(batch[0]) - batch[1]
        self.counters["sequences"] += len(error)
        self.log("train/right", (error.abs() < 0.2).float().mean(), on_step=True, on_epoch=True)
        return error.square().mean()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("mse", (self(batch[0]) - batch[1]).square().mean())

    test_step = validation_step

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.lr)

    def produce(self, folder: Path | None, *, count: int = 4, seed: int = 0) -> list[Any]:
        """Sequences, their sums and the net's.

        Args:
            count: How many.
            seed: Of the sequences.
        """
        random = torch.Generator().manual_seed(seed)
        drawn = [sequence(random) for _ in range(count)]
        return [
            {"sum": float(s), "found": float(self(x[None].to(self.device))[0])} for x, s in drawn
        ]
