"""The Santa Fe laser, and any other single series: tell the next value."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from zoo.plugin import BaseDataModule, Facts, Part, UsageError, at_least, require

Sample = dict[str, Tensor]
"""``series`` and ``targets`` float32 (T, channels), the step after; ``begins`` bool ()."""


class _Pieces(Dataset[Sample]):
    def __init__(self, values: Tensor, length: int) -> None:
        self._values, self._length = values, length

    def __len__(self) -> int:
        return -(-(len(self._values) - 1) // self._length) if len(self._values) > 1 else 0

    def __getitem__(self, index: int) -> Sample:
        piece = self._values[index * self._length : (index + 1) * self._length + 1]
        return {
            "series": piece[:-1],
            "targets": piece[1:],
            "begins": torch.tensor(index == 0),
        }


def collate(samples: list[Sample]) -> Sample:
    """The one piece of a batch, with a batch axis."""
    return {key: value[None] for key, value in samples[0].items()}


class Laser(BaseDataModule[_Pieces]):
    """One series in pieces that follow each other: a model keeps its state from piece to piece.

    Reads ``santafe_laser.npy``, or any ``.npy`` or ``.csv`` with a step a row. Source of the laser:
    Weigend, Gershenfeld: Time Series Prediction, 1993, data set A.

    Args:
        root: The file, or the folder of ``santafe_laser.npy``.
        batch_size: 1: the pieces follow each other.
        num_workers: Processes that prepare pieces.
        seed: Nothing is drawn.
        split: ``standard``; of ``all`` everything is the test part.
        train_steps: Steps of the training, from the first on.
        val_steps: Steps of the validation, behind the training.
        test_steps: Steps of the test, behind both.
        piece: Steps of a piece.

    Raises:
        UsageError: an argument is out of its range.
    """

    sample_name = "piece"
    conformance_arguments: ClassVar[dict[str, Any]] = {
        "batch_size": 1,
        "train_steps": 400,
        "piece": 100,
    }
    conformance_exempt: ClassVar[dict[str, str]] = {
        "seed-decides-order": "the pieces of a series follow each other",
    }

    def __init__(
        self,
        root: str = "data/series",
        batch_size: int = 1,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        train_steps: int = 2000,
        val_steps: int = 0,
        test_steps: int = 2000,
        piece: int = 500,
    ) -> None:
        super().__init__(root, batch_size, num_workers, seed, split)
        at_least("train_steps", train_steps, 2)
        for name, value in (("val_steps", val_steps), ("test_steps", test_steps)):
            at_least(name, value, 0)
        at_least("piece", piece, 1)
        self.sizes = {"train": train_steps, "val": val_steps, "test": test_steps}
        self.piece = piece
        self._values: Tensor | None = None

    @property
    def values(self) -> Tensor:
        """The series, float32 (T, channels).

        Raises:
            UsageError: it is missing, unreadable, shorter than the parts, or constant.
        """
        if self._values is None:
            root = Path(self.root)
            require(
                self.batch_size == 1,
                f"{root}: batch_size is {self.batch_size}, and pieces of a series follow each "
                "other: leave it at 1",
            )
            found = read_values(root / "santafe_laser.npy" if root.is_dir() else root)
            if sum(self.sizes.values()) > len(found):
                asked = "+".join(map(str, self.sizes.values()))
                raise UsageError(
                    f"{self.root} has {len(found)} steps, and train_steps+val_steps+test_steps are "
                    f"{asked}; lower them"
                )
            if not np.ptp(found[: self.sizes["train"]], axis=0).all():
                raise UsageError(f"{self.root}: a channel is constant in the training steps")
            self._values = torch.from_numpy(found)
        return self._values

    @property
    def facts(self) -> Facts:
        """Channels, and mean and deviation of each on the training part."""
        train = self.values[: self.sizes["train"]].double()
        return {
            "channels": train.shape[1],
            "mean": [round(value, 6) for value in train.mean(0).tolist()],
            "std": [round(value, 6) for value in train.std(0, correction=0).tolist()],
        }

    def samples(self, part: Part) -> _Pieces:
        if self.split == "all":
            return _Pieces(self.values if part == "test" else self.values[:0], self.piece)
        start = {
            "train": 0,
            "val": self.sizes["train"],
            "test": self.sizes["train"] + self.sizes["val"],
        }[part]
        return _Pieces(self.values[start : start + self.sizes[part]], self.piece)

    def train_loader(self, samples: _Pieces) -> Any:
        """In their order."""
        return self.loader(samples, collate_fn=collate)

    def eval_loader(self, samples: _Pieces) -> Any:
        return self.loader(samples, collate_fn=collate)


def read_values(path: Path) -> np.ndarray:
    """A series, float32 (T, channels), from a .npy or .csv file.

    Raises:
        UsageError: it is missing, unreadable, or not finite numbers.
    """
    if not path.is_file():
        raise UsageError(f"there is no {path}; point --data.root at a .npy or .csv of a series")
    try:
        if path.suffix == ".npy":
            values: np.ndarray = np.load(path, allow_pickle=False).astype(np.float32)
        else:
            values = np.loadtxt(path, dtype=np.float32, delimiter=",", ndmin=2)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as numbers: {error}") from error
    values = values.reshape(len(values), -1) if values.ndim == 1 else values
    if values.ndim != 2 or not np.isfinite(values).all():
        raise UsageError(f"{path} is not rows of finite numbers")
    return values
