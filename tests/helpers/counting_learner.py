"""Learners that count: one by evolution, without data, and one of generated data."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from zoo.plugin import BaseDataModule, GeneratedSamples, NumberedSteps, optim


class Generations(NumberedSteps):
    """Generations of an evolution."""


class Climber(LightningModule):
    """Two numbers that climb towards (1, 1).

    Args:
        population: Evaluations in a generation.
        forgetful: Count in a way that a resume loses.
        still: Count nothing.
        two: Count generations too.
    """

    head = ()
    center: Tensor

    def __init__(
        self, population: int = 20, forgetful: bool = False, still: bool = False, two: bool = False
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.population, self.still = population, still
        self.register_buffer("center", torch.zeros(2))
        self.counters = {"evaluations": 0, **({"generations": 0} if two else {})}
        if forgetful:
            del self.counters
            self.count = 0
            self.__class__ = ForgetfulClimber

    @property
    def example_input(self) -> Tensor:
        return torch.zeros(2, 2)

    def forward(self, points: Tensor) -> Tensor:
        return -(points - 1).square().sum(1)

    def training_step(self, number: Tensor, batch_idx: int) -> None:
        draw = torch.Generator().manual_seed(int(number))
        candidates = self.center + 0.1 * torch.randn(self.population, 2, generator=draw)
        scores = self(candidates)
        self.center.copy_(candidates[scores.argmax()])
        self.add(self.population)
        self.log("train/score", scores.max(), on_step=True, on_epoch=True)

    def add(self, count: int) -> None:
        self.counters["evaluations"] += 0 if self.still else count
        if "generations" in self.counters:
            self.counters["generations"] += 1

    def validation_step(self, number: Tensor, batch_idx: int) -> None:
        self.log("val/score", self(self.center[None])[0])

    def test_step(self, number: Tensor, batch_idx: int) -> None:
        self.log("test/score", self(self.center[None])[0])

    def configure_optimizers(self) -> None:
        return None

    def draw_plots(self, batch: Any) -> dict[str, Any]:
        return {}


class ForgetfulClimber(Climber):
    @property
    def counters(self) -> dict[str, int]:  # type: ignore[override]
        return {"evaluations": self.count}

    def add(self, count: int) -> None:
        self.count += count


class Sums(BaseDataModule[GeneratedSamples]):
    """Three numbers and their sum.

    Args:
        batch_size: Samples in a batch.
        num_workers: Processes that prepare batches.
        seed: Seed of the samples.
        split: Kept for the interface.
        length: Samples of an epoch.
    """

    def __init__(
        self,
        batch_size: int = 10,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        length: int = 100,
    ) -> None:
        super().__init__("the sums", batch_size, num_workers, seed, split)
        self.lengths = {"train": length, "val": 20, "test": 20}

    @property
    def facts(self) -> dict[str, Any]:
        return {}

    def samples(self, part: Any) -> GeneratedSamples:
        return GeneratedSamples(_sum, self.lengths[part], self.seed, part)


def _sum(random: torch.Generator) -> tuple[Tensor, Tensor]:
    numbers = torch.rand(3, generator=random)
    return numbers, numbers.sum()


class CountedNet(LightningModule):
    """A linear net that counts the sequences it was shown.

    Args:
        schedule: Of the learning rate, by sequences.
        rank_ahead: The process that counts one more in every batch, as none should.
    """

    head = ("net",)
    conformance_arguments: ClassVar[dict[str, Any]] = {}
    sequences: Tensor

    def __init__(self, schedule: str = "constant", rank_ahead: int | None = None) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.schedule, self.rank_ahead = schedule, rank_ahead
        self.net = nn.Linear(3, 1)
        self.register_buffer("sequences", torch.zeros((), dtype=torch.int64))

    @property
    def counters(self) -> dict[str, int]:
        ahead = self.rank_ahead is not None and self.global_rank == self.rank_ahead
        return {"sequences": int(self.sequences) + ahead}

    @property
    def example_input(self) -> Tensor:
        return torch.zeros(2, 3)

    def forward(self, numbers: Tensor) -> Tensor:
        sums: Tensor = self.net(numbers)[:, 0]
        return sums

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        numbers, sums = batch
        error = self(numbers) - sums
        self.sequences += len(numbers) * self.trainer.world_size
        self.log("train/right", (error.abs() < 0.2).float().mean(), on_step=True)
        self.log("train/loss", error.square().mean(), on_step=False, on_epoch=True)
        return error.square().mean()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/loss", (self(batch[0]) - batch[1]).square().mean())

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("test/loss", (self(batch[0]) - batch[1]).square().mean())

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), 0.1)
        factor = optim.schedule_by_count(self.schedule, self, "sequences")
        return optim.with_schedule(optimizer, factor)

    def draw_plots(self, batch: Any) -> dict[str, Any]:
        return {}
