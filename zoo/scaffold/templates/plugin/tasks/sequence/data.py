"""Sequences of noisy frames that spell words, made on the spot: replace `spell` by the reading
of your own data."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader, Dataset, TensorDataset

from zoo.plugin import ResumableLoader, UsageError

SYMBOLS = ["a", "b", "c", "d", "e"]
FEATURES = 8
LONGEST = 5  # symbols
FRAMES = 5 * LONGEST
PARTS = {"train": 768, "val": 128, "test": 256}


def spell(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Words of 2 to LONGEST symbols; each symbol sounds for 2 to 4 frames, then comes a pause.

    Args:
        count: How many.
        seed: The same seed spells the same words.

    Returns:
        Frames float32 (count, FRAMES, FEATURES), padded with noise at the end; the words, int64
        (count, LONGEST), positions in ``SYMBOLS`` padded with 0; the number of frames of each
        and the number of symbols of each, int64 (count,).
    """
    sounds = torch.randn(len(SYMBOLS), FEATURES, generator=torch.Generator().manual_seed(0))
    random = torch.Generator().manual_seed(seed)
    words = torch.randint(len(SYMBOLS), (count, LONGEST), generator=random)
    lengths = torch.randint(2, LONGEST + 1, (count,), generator=random)
    durations = torch.randint(2, 5, (count, LONGEST), generator=random)
    frames = 0.3 * torch.randn(count, FRAMES, FEATURES, generator=random)
    ends = (durations + 1).cumsum(1)
    for index in range(count):
        for place in range(int(lengths[index])):
            end = int(ends[index, place]) - 1
            start = end - int(durations[index, place])
            frames[index, start:end] += sounds[words[index, place]]
    words[torch.arange(LONGEST) >= lengths[:, None]] = 0
    frame_counts = ends.gather(1, lengths[:, None] - 1)[:, 0]
    return frames, words, frame_counts, lengths


class Words(LightningDataModule):
    """Words as sequences of frames, without the symbols' places in them.

    A batch is ``(frames, words, frame_counts, lengths)``: float32 (N, 25, 8), int64 (N, 5),
    int64 (N,) and int64 (N,). The words are the same in every run; ``seed`` decides only the
    order of training.

    Args:
        batch_size: Sequences in a batch, in each process.
        num_workers: Processes that prepare batches; the data lie in memory, 0 is quickest.
        seed: Seed of the order of the training sequences.
        split: ``standard``, or ``all`` to make every sequence test data.

    Raises:
        UsageError: ``split`` is neither.
    """

    def __init__(
        self, batch_size: int = 32, num_workers: int = 0, seed: int = 0, split: str = "standard"
    ) -> None:
        super().__init__()
        if split not in ("standard", "all"):
            raise UsageError(f"split {split!r} is neither 'standard' nor 'all'")
        self.batch_size, self.num_workers = batch_size, num_workers
        self.seed, self.split = seed, split
        self.parts: dict[str, Dataset[Any]] = {}

    @property
    def facts(self) -> dict[str, Any]:
        """Facts of the data; constructor arguments of the model with these names are filled
        in, so that no recipe repeats them."""
        return {"num_classes": len(SYMBOLS), "label_names": SYMBOLS, "features": FEATURES}

    def setup(self, stage: str) -> None:
        """Spell the words, once."""
        if self.parts:
            return
        sets: list[Dataset[Any]] = [
            TensorDataset(*spell(count, seed)) for seed, count in enumerate(PARTS.values())
        ]
        if self.split == "all":
            self.parts = {"test": ConcatDataset(sets)}
        else:
            self.parts = dict(zip(PARTS, sets, strict=True))

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[Any]:
        return self._loader("test")

    def _loader(self, part: str, shuffle: bool = False) -> DataLoader[Any]:
        if part not in self.parts:
            raise UsageError(f"with split='all' there is no {part} part: use split='standard'")
        # This loader is what lets a stopped run continue at the very batch.
        return ResumableLoader(
            self.parts[part], self.batch_size, self.seed, shuffle, num_workers=self.num_workers
        )
