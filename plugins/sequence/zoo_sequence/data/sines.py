"""Superimposed sines: a series to be known for a while, and then to be gone on with alone."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from zoo.plugin import BaseDataModule, Facts, Part, at_least, within

FREQUENCIES = (0.2, 0.311, 0.42, 0.51, 0.74)
"""Radians a step; no two have a common period."""


def superimposed_sines(count: int, steps: int) -> Tensor:
    """The sum of the first ``count`` sines, float64 (steps, 1)."""
    time = torch.arange(steps, dtype=torch.float64)[:, None]
    frequencies = torch.tensor(FREQUENCIES[:count], dtype=torch.float64)
    return (time * frequencies).sin().sum(1, keepdim=True)


class _Known(Dataset[dict[str, Tensor]]):
    def __init__(self, series: Tensor, known: int, count: int) -> None:
        self._sample = {"series": series, "known": torch.tensor(known)}
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self._sample


class SuperimposedSines(BaseDataModule[_Known]):
    """Multiple superimposed oscillators: a series of sines whose common period is beyond reach.

    A batch is ``series`` float64 (1, T, 1) and how many of its steps are ``known``: of the
    training all, of the test those of the training; the others are to be told without seeing any.
    Linear prediction from a few steps back solves it exactly where it is known that the series is
    a sum of sines: it is a test of nets that have to find their own oscillators.

    Source: Schmidhuber, Wierstra, Gagliolo, Gomez: Training Recurrent Networks by Evolino, Neural
    Computation 19(3), 2007, section 4.2.

    Args:
        batch_size: 1: there is one series.
        num_workers: Processes that prepare batches.
        seed: Of a search on it; nothing of the series is drawn.
        split: ``standard``, or ``all``.
        sines: How many, 1 to 5.
        train_steps: Steps of the training, from the first on.
        test_steps: Steps behind them that the test asks for.
        generations: Batches of an epoch.

    Raises:
        UsageError: an argument is out of its range.
    """

    sample_name = "sequence"
    conformance_arguments: ClassVar[dict[str, Any]] = {
        "train_steps": 40, "test_steps": 10, "generations": 8, "batch_size": 1,
    }  # fmt: skip
    conformance_exempt: ClassVar[dict[str, str]] = {
        "seed-decides-order": "there is one series, which every step sees",
    }

    def __init__(
        self,
        batch_size: int = 1,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        sines: int = 2,
        train_steps: int = 400,
        test_steps: int = 300,
        generations: int = 10,
    ) -> None:
        super().__init__("the series", batch_size, num_workers, seed, split)
        within("sines", sines, 1, len(FREQUENCIES))
        within("batch_size", batch_size, 1, 1)
        at_least("train_steps", train_steps, 10)
        at_least("test_steps", test_steps, 1)
        at_least("generations", generations, 1)
        self.train_steps, self.generations = train_steps, generations
        self.series = superimposed_sines(sines, train_steps + test_steps)

    @property
    def facts(self) -> Facts:
        """One number a step."""
        return {"channels": 1}

    def samples(self, part: Part) -> _Known:
        if part == "test":
            return _Known(self.series, self.train_steps, 1)
        count = {"train": self.generations, "val": 0}[part]
        return _Known(self.series[: self.train_steps], self.train_steps, count)

    def train_loader(self, samples: _Known) -> Any:
        return self.loader(samples, collate_fn=default_collate)
