"""The lag of 20 steps by which history compression was shown."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from zoo.plugin import BaseDataModule, Facts, GeneratedSamples, Part, at_least


class RepeatedSymbol(BaseDataModule[GeneratedSamples]):
    """Sequences of a or x, then b1 to b20 in their order, then the first symbol again.

    All but the first symbol can be told from those before; the last only by remembering the first.
    A sample is int64 (lag + 2,); 0 is a and 1 is x.

    Source: Schmidhuber: Learning complex, extended sequences using the principle of history
    compression, Neural Computation 4(2), 1992.

    Args:
        batch_size: Sequences of a training step.
        num_workers: Processes that make sequences.
        seed: Of all sequences.
        split: ``standard``, or ``all``.
        lag: Symbols between the two.
        epoch: Sequences of what is called an epoch.

    Raises:
        UsageError: an argument is out of its range.
    """

    sample_name = "sequence"
    conformance_arguments: ClassVar[dict[str, Any]] = {"lag": 4, "epoch": 96}

    def __init__(
        self,
        batch_size: int = 1,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        lag: int = 20,
        epoch: int = 1000,
    ) -> None:
        super().__init__("the stream", batch_size, num_workers, seed, split)
        at_least("lag", lag, 1)
        at_least("epoch", epoch, 1)
        self.lag, self.epoch = lag, epoch

    @property
    def facts(self) -> Facts:
        """How many symbols there are."""
        return {"symbols": self.lag + 2}

    def _generate(self, random: torch.Generator) -> Tensor:
        first = torch.randint(2, (1,), generator=random)
        return torch.cat([first, torch.arange(2, self.lag + 2), first])

    def samples(self, part: Part) -> GeneratedSamples:
        length = {"train": self.epoch, "val": 50, "test": 100}[part]
        return GeneratedSamples(self._generate, length, self.seed, part)

    def train_loader(self, samples: GeneratedSamples) -> Any:
        return self.loader(samples)
