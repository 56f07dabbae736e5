"""A new function in each sequence, to be learnt from its examples within it."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from zoo.plugin import BaseDataModule, Facts, GeneratedSamples, Part, at_least

Sample = dict[str, Tensor]
"""``points`` float32 (T, 2) and ``values`` float32 (T,), from 0.2 to 0.8."""


def quadratic(random: torch.Generator, steps: int) -> Sample:
    """Examples of a x1^2 + b x2^2 + c x1 x2 + d x1 + e x2 + f, with coefficients and points uniform
    from -1 to 1, scaled so that no value is outside 0.2 to 0.8 (6 terms of at most 1)."""
    weights = 2 * torch.rand(6, generator=random) - 1
    points = 2 * torch.rand(steps, 2, generator=random) - 1
    return {"points": points, "values": 0.5 + 0.05 * (basis(points) @ weights)}


def basis(points: Tensor) -> Tensor:
    """The six functions (..., 6) of points (..., 2) that a quadratic is a sum of."""
    x, y = points.unbind(-1)
    return torch.stack([x * x, y * y, x * y, x, y, torch.ones_like(x)], -1)


class Quadratics(BaseDataModule[GeneratedSamples]):
    """Quadratic functions of two numbers, a new one in each sequence.

    Source of the task: Hochreiter, Younger, Conwell: Learning to Learn Using Gradient Descent,
    ICANN 2001; ranges and scaling are ours.

    Args:
        batch_size: Sequences of a training step.
        num_workers: Processes that make sequences.
        seed: Of all sequences.
        split: ``standard``, or ``all``.
        steps: Examples of a function.
        epoch: Sequences of what is called an epoch.

    Raises:
        UsageError: an argument is out of its range.
    """

    sample_name = "sequence"
    conformance_arguments: ClassVar[dict[str, Any]] = {"steps": 12, "epoch": 96}

    def __init__(
        self,
        batch_size: int = 64,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        steps: int = 101,
        epoch: int = 6400,
    ) -> None:
        super().__init__("the stream", batch_size, num_workers, seed, split)
        at_least("steps", steps, 2)
        at_least("epoch", epoch, 1)
        self.steps, self.epoch = steps, epoch

    @property
    def facts(self) -> Facts:
        """Numbers of a point."""
        return {"features": 2}

    def _generate(self, random: torch.Generator) -> Sample:
        return quadratic(random, self.steps)

    def samples(self, part: Part) -> GeneratedSamples:
        length = {"train": self.epoch, "val": 256, "test": 1000}[part]
        return GeneratedSamples(self._generate, length, self.seed, part)

    def train_loader(self, samples: GeneratedSamples) -> Any:
        return self.loader(samples)
