"""A short wave to be generated from nothing: the first task of clockwork nets."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from zoo.plugin import BaseDataModule, Facts, Part, UsageError, at_least
from zoo_sequence.data.recordings import generator
from zoo_sequence.sound import read_wave

RATE = 44_100


def synthetic_tone(snippet: int, steps: int = 320) -> Tensor:
    """Harmonic tones that fade: float32 (steps,), scaled to a largest value of 1.

    Two fundamentals from 100 to 400 Hz with up to eight overtones below 4,000 Hz each, weaker the
    higher, at 44,100 samples a second, so that 320 are 7 ms.
    """
    random = generator("tone", snippet)
    time = torch.arange(steps, dtype=torch.float64) / RATE
    wave = torch.zeros(steps, dtype=torch.float64)
    for _ in range(2):
        draws = torch.rand(4, generator=random, dtype=torch.float64)
        pitch = 100 * 4 ** float(draws[0])
        for overtone in range(1, 9):
            phase, size = torch.rand(2, generator=random, dtype=torch.float64).tolist()
            frequency = pitch * overtone
            if frequency < 4000:
                fading = torch.exp(-time * 50 * overtone * float(draws[1]))
                wave += (
                    size / overtone * fading * torch.sin(2 * math.pi * (frequency * time + phase))
                )
    return (wave / wave.abs().max()).float()


class _Repeated(Dataset[dict[str, Tensor]]):
    def __init__(self, wave: Tensor, count: int) -> None:
        self._sample = {"inputs": torch.ones(len(wave), 1), "targets": wave[:, None]}
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self._sample


class Waveform(BaseDataModule[_Repeated]):
    """One wave of 320 samples; what goes in is a 1 at every step, and what should come out is the
    wave. A net learns it by heart: training, validation and test are the same wave.

    The wave is made up (the paper's are of a song that may not be passed on), or cut out of a
    recording of yours.

    Source of the task: Koutnik, Greff, Gomez, Schmidhuber: A Clockwork RNN, ICML 2014
    (arXiv:1402.3511), section 4.1.

    Args:
        batch_size: Copies of the wave in a batch.
        num_workers: Processes that prepare batches.
        seed: Nothing is drawn.
        split: ``standard``, or ``all``.
        snippet: Which of the made-up waves.
        wave: A .wav file to cut it out of instead, from its middle.
        steps: Samples of the wave.
        repeats: Training steps of an epoch.

    Raises:
        UsageError: an argument is out of its range, or the file cannot be used.
    """

    sample_name = "wave"
    conformance_arguments: ClassVar[dict[str, Any]] = {"steps": 24, "repeats": 8}
    conformance_exempt: ClassVar[dict[str, str]] = {
        "seed-decides-order": "there is one wave, which every step sees",
    }

    def __init__(
        self,
        batch_size: int = 1,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        snippet: int = 0,
        wave: str = "",
        steps: int = 320,
        repeats: int = 100,
    ) -> None:
        super().__init__("the wave", batch_size, num_workers, seed, split)
        at_least("snippet", snippet, 0)
        at_least("steps", steps, 2)
        at_least("repeats", repeats, 1)
        self.snippet, self.wave, self.steps, self.repeats = snippet, wave, steps, repeats
        self._target: Tensor | None = None

    @property
    def target(self) -> Tensor:
        """The wave, float32 (steps,)."""
        if self._target is None:
            self._target = self._cut() if self.wave else synthetic_tone(self.snippet, self.steps)
        return self._target

    def _cut(self) -> Tensor:
        samples = read_wave(Path(self.wave)).samples
        if len(samples) < self.steps:
            raise UsageError(
                f"{self.wave} has {len(samples)} samples, and the wave is to have {self.steps}"
            )
        start = (len(samples) - self.steps) // 2
        piece = samples[start : start + self.steps]
        if not piece.abs().max():
            raise UsageError(f"{self.wave} is silent in its middle; take another recording")
        return piece / piece.abs().max()

    @property
    def facts(self) -> Facts:
        """One number in, one out."""
        _ = self.target
        return {"features": 1, "outputs": 1}

    def samples(self, part: Part) -> _Repeated:
        count = {"train": self.repeats * self.batch_size, "val": 1, "test": 1}[part]
        return _Repeated(self.target, count)

    def train_loader(self, samples: _Repeated) -> Any:
        return self.loader(samples, collate_fn=default_collate)
