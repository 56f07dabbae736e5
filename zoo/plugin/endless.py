"""Data without an end: every epoch has samples of its own, made when they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data import Dataset

from zoo.plugin.arguments import at_least
from zoo.plugin.parts import Part


class EndlessDataset(Dataset[Any]):
    """A dataset whose ``__getitem__`` takes the number of a sample counted over all epochs.

    A ``ResumableLoader`` asks it for ``epoch * length + index``, in order: any of its workers can
    make any sample, and a resumed run asks for those that are left. The length is only that of
    what is called an epoch; a large one costs nothing.

    Args:
        length: Samples of an epoch.
    """

    def __init__(self, length: int) -> None:
        at_least("length", length, 1)
        self._length = length

    def __len__(self) -> int:
        return self._length


class GeneratedSamples(EndlessDataset):
    """Samples that a function generates: new ones in every epoch of a training.

    A sample depends on seed, part, epoch and its number in the epoch alone, so that it is the same
    with any number of workers and after a resume. Those of a validation or test are the same in
    every epoch, and none of them is one of the training.

    Args:
        generate: From a generator, which is all that it may draw from, to a sample. For numpy:
            ``numpy.random.default_rng(random.initial_seed())``.
        length: Samples of an epoch.
        seed: Of all samples.
        part: The part of the data that they are.
    """

    def __init__(
        self,
        generate: Callable[[torch.Generator], Any],
        length: int,
        seed: int = 0,
        part: Part = "train",
    ) -> None:
        super().__init__(length)
        self._generate, self._seed, self._part = generate, seed, part

    def __getitem__(self, number: int) -> Any:
        if self._part != "train":
            number %= len(self)
        name = f"{self._seed}/{self._part}/{number}".encode()
        seed = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little") >> 1
        return self._generate(torch.Generator().manual_seed(seed))
