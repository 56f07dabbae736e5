"""Associative retrieval: pairs of a key and a value, then a question for one of the keys.

The protocol of Schlag, Irie, Schmidhuber: Linear Transformers Are Secretly Fast Weight Programmers,
ICML 2021, section 6.1, with what its code has and its text does not say:

* with replacement a training sequence is twice as long as there are keys, and one of a validation
  or test is only as long as there are keys;
* a training sequence asks one question, of the key at a position drawn evenly, so that keys that
  occur more often are asked for more often; a validation or test asks for every key that occurs,
  for 200 of them at most, those of the lowest numbers;
* of a key that occurs more than once the last value is right;
* without replacement the values of a sequence all differ too.

Different here: validation and test have the same 20 sequences in every evaluation, where the
authors draw new ones, and their loss is the mean over questions, where theirs is the mean over
batches of up to 32 questions.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from zoo.plugin import BaseDataModule, Facts, GeneratedSamples, Part, ResumableLoader, at_least

ENDLESS = 10**9
MOST_QUESTIONS = 200


def pairs(
    keys: int, length: int, replacement: bool, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Keys and values of a sequence, int64 (length,) each, from 0 to ``keys - 1``."""
    if replacement:
        drawn = torch.randint(keys, (2, length), generator=random)
        return drawn[0], drawn[1]
    return (
        torch.randperm(keys, generator=random)[:length],
        torch.randperm(keys, generator=random)[:length],
    )


def training_sample(keys: int, replacement: bool, random: torch.Generator) -> tuple[Tensor, ...]:
    """A sequence with one question.

    Returns:
        Keys (T,), values (T,), questions (1,), answers (1,), int64.
    """
    names, values = pairs(keys, keys * (1 + replacement), replacement, random)
    asked = names[torch.randint(len(names), (1,), generator=random)]
    return names, values, asked, values[(names == asked).nonzero()[-1]]


def evaluation_sample(keys: int, replacement: bool, random: torch.Generator) -> tuple[Tensor, ...]:
    """A sequence with a question for every key in it.

    Returns:
        Keys (keys,), values (keys,), questions (Q,), answers (Q,), int64. Q is the smaller of
        ``keys`` and 200; what is missing of it, as a key did not occur, is -1.
    """
    names, values = pairs(keys, keys, replacement, random)
    asked = names.unique()[:MOST_QUESTIONS]
    last = torch.stack([(names == name).nonzero()[-1, 0] for name in asked])
    questions = torch.full((2, min(keys, MOST_QUESTIONS)), -1)
    questions[0, : len(asked)], questions[1, : len(asked)] = asked, values[last]
    return names, values, questions[0], questions[1]


class Retrieval(BaseDataModule[GeneratedSamples]):
    """Generated sequences of pairs with questions: the module's protocol.

    A batch is ``(keys, values, questions, answers)``, int64 (N, T), (N, T), (N, Q) and (N, Q).
    Training asks one question a sequence, validation and test as many as there are keys; -1 is no
    question.

    Args:
        keys: Number of keys, and of values.
        replacement: Keys and values are drawn with replacement, and training sequences are twice
            as long.
        eval_sequences: Sequences of a validation, and of the test.
        batch_size: Sequences in a batch of training.
        num_workers: Processes that make sequences.
        seed: Of all sequences.
        split: ``standard``, or ``all`` to test on as many sequences as validation and test have.

    Raises:
        UsageError: an argument is out of its range.
    """

    sample_name = "sequence"

    def __init__(
        self,
        keys: int = 40,
        replacement: bool = False,
        eval_sequences: int = 20,
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
    ) -> None:
        super().__init__("retrieval", batch_size, num_workers, seed, split)
        at_least("keys", keys, 2)
        at_least("eval_sequences", eval_sequences, 1)
        self.keys, self.replacement, self.eval_sequences = keys, replacement, eval_sequences

    @property
    def facts(self) -> Facts:
        """How many keys there are."""
        return {"keys": self.keys}

    def describe_found(self) -> list[str]:
        """What is generated."""
        kind = "with replacement" if self.replacement else "each once"
        return [f"{self.keys} keys, {kind}", f"{self.eval_sequences} sequences to test on"]

    def samples(self, part: Part) -> GeneratedSamples:
        """Sequences of a part, made when they are asked for."""
        if part == "train":
            make = partial(training_sample, self.keys, self.replacement)
            return GeneratedSamples(make, ENDLESS, self.seed)
        make = partial(evaluation_sample, self.keys, self.replacement)
        count = self.eval_sequences * (2 if self.split == "all" else 1)
        return GeneratedSamples(make, count, self.seed, part)

    def train_loader(self, samples: GeneratedSamples) -> ResumableLoader:
        """New sequences in every batch."""
        return self.loader(samples)

    def eval_loader(self, samples: GeneratedSamples) -> ResumableLoader:
        """A few sequences at once: each has many questions."""
        return self.loader(samples, min(20, len(samples)))
