"""Multi-query associative recall: pairs of a key and a value, then the keys again at random places.

The generator of Zoology (Arora and others: Zoology: Measuring and Improving Recall in Efficient
Language Models, ICLR 2024, section 4 and appendix; HazyResearch/zoology). Keys are symbols from 1
to V/2 - 1 and values from V/2 to V - 1, each used once in a sequence. The pairs come first; then
every key comes once more at an even distance drawn by a power law, and the value is to be
predicted there. All other places hold random symbols.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from zoo.plugin import (
    BaseDataModule,
    Facts,
    GeneratedSamples,
    Part,
    ResumableLoader,
    at_least,
    require,
)

NOTHING = -100
"""The target where nothing is asked."""
ENDLESS = 10**9


def recall_sequence(
    vocab_size: int, length: int, pairs: int, random: torch.Generator, power: float = 0.01
) -> tuple[Tensor, Tensor]:
    """A sequence and its targets, int64 (length,) each; -100 where nothing is asked.

    Args:
        vocab_size: Number of symbols V.
        length: Of the sequence, at least ``4 * pairs``.
        pairs: How many there are.
        random: What is drawn from.
        power: Exponent of the distances: near 0, short ones are likelier.
    """
    half = vocab_size // 2
    keys = 1 + torch.randperm(half - 1, generator=random)[:pairs]
    values = half + torch.randperm(vocab_size - half, generator=random)[:pairs]
    places = (length - 2 * pairs) // 2
    shares = torch.arange(1, places + 1, dtype=torch.float64) ** (power - 1)
    gaps = torch.multinomial(shares, pairs, replacement=False, generator=random)
    symbols = torch.randint(vocab_size, (length,), generator=random)
    symbols[: 2 * pairs : 2], symbols[1 : 2 * pairs : 2] = keys, values
    targets = torch.full((length,), NOTHING)
    asked = 2 * pairs + 2 * gaps
    symbols[asked], targets[asked] = keys, values
    return symbols, targets


class MQAR(BaseDataModule[GeneratedSamples]):
    """Generated sequences of multi-query associative recall.

    A batch is ``(symbols, targets)``, int64 (N, length) each; the target -100 asks nothing.
    Training mixes the numbers of ``pairs``; validation and test have the largest of them.

    Args:
        vocab_size: Number of symbols, even. Differences between rules need many.
        length: Symbols of a sequence, at least four times the largest number of pairs.
        pairs: Numbers of pairs that training mixes, as few are learned first.
        eval_sequences: Sequences of a validation, and of the test.
        batch_size: Sequences in a batch.
        num_workers: Processes that make sequences.
        seed: Of all sequences; none is in two parts.
        split: ``standard``, or ``all`` to test on as many sequences as validation and test have.

    Raises:
        UsageError: an argument is out of its range.
    """

    sample_name = "sequence"
    conformance_arguments: ClassVar[dict[str, Any]] = {
        "vocab_size": 32,
        "length": 8,
        "pairs": [2],
        "eval_sequences": 8,
    }

    def __init__(
        self,
        vocab_size: int = 512,
        length: int = 64,
        pairs: list[int] | None = None,
        eval_sequences: int = 500,
        batch_size: int = 64,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
    ) -> None:
        super().__init__("mqar", batch_size, num_workers, seed, split)
        self.pairs = [4, 8, 16] if pairs is None else pairs
        require(bool(self.pairs) and min(self.pairs) >= 1, "pairs has to hold numbers from 1")
        most = max(self.pairs)
        require(
            length >= 4 * most,
            f"length is {length}; {most} pairs and their questions need {4 * most}",
        )
        require(
            vocab_size % 2 == 0 and vocab_size // 2 > most,
            f"vocab_size is {vocab_size}; {most} pairs need an even number above {2 * most}",
        )
        at_least("eval_sequences", eval_sequences, 1)
        self.vocab_size, self.length, self.eval_sequences = vocab_size, length, eval_sequences

    @property
    def facts(self) -> Facts:
        """How many symbols there are, and how long sequences are."""
        return {"vocab_size": self.vocab_size, "length": self.length}

    def describe_found(self) -> list[str]:
        """What is generated."""
        pairs = ", ".join(map(str, self.pairs))
        return [f"{self.vocab_size} symbols", f"{pairs} pairs in {self.length} places"]

    def samples(self, part: Part) -> GeneratedSamples:
        """Sequences of a part, made when they are asked for."""
        if part != "train":
            count = self.eval_sequences * (2 if self.split == "all" else 1)
            return GeneratedSamples(self._largest, count, self.seed, part)
        return GeneratedSamples(self._mixed, ENDLESS, self.seed)

    def _largest(self, random: torch.Generator) -> tuple[Tensor, Tensor]:
        return recall_sequence(self.vocab_size, self.length, max(self.pairs), random)

    def _mixed(self, random: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = int(torch.randint(len(self.pairs), (), generator=random))
        return recall_sequence(self.vocab_size, self.length, self.pairs[chosen], random)

    def train_loader(self, samples: GeneratedSamples) -> ResumableLoader:
        """New sequences without an end: ``trainer.max_steps`` ends the training."""
        return self.loader(samples)
