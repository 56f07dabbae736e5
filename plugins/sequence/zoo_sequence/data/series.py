"""Series with a class each: .ts and .tsv files of the UEA and UCR archives, and of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from zoo.plugin import BaseDataModule, Facts, FoldSamples, Part, UsageError, fractions, one_of

Sample = dict[str, Tensor]
"""``series`` float32 (T, channels) and ``label`` int64 ()."""
SUFFIXES = (".ts", ".tsv")


@dataclass(frozen=True)
class Case:
    """A series and the name of its class.

    Attributes:
        where: File and line.
        values: float64 (T, channels), NaN where one is missing.
        label: Name of the class.
    """

    where: str
    values: np.ndarray
    label: str


class _Series(Dataset[Sample]):
    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]


def collate(samples: Sequence[Sample]) -> Sample:
    """``series`` (N, T, channels) padded with zeros, ``lengths`` and ``labels`` (N,)."""
    series = [sample["series"] for sample in samples]
    return {
        "series": pad_sequence(series, batch_first=True),
        "lengths": torch.tensor([len(each) for each in series]),
        "labels": torch.stack([sample["label"] for sample in samples]),
    }


class Series(BaseDataModule[_Series]):
    """Series of one class each, in ``NAME_TRAIN.ts`` and ``NAME_TEST.ts`` (or ``.tsv``).

    A ``.ts`` file has a case a line, channels with colons between, the class last; a ``.tsv`` file
    the class first and one channel. Lengths may differ.

    Source of the formats: Bagnall and others: The UEA multivariate time series classification
    archive, 2018 (arXiv:1811.00075).

    Args:
        root: The folder of the files, or of folders of them, as the archives are laid out.
        batch_size: Series in a batch.
        num_workers: Processes that prepare batches.
        seed: Of the order.
        split: ``standard``; of ``all`` everything is the test part.
        problem: NAME, where the folder has several.
        missing: What becomes of missing values: ``refuse``, or ``interpolate`` in time (ends
            repeat the nearest).
        val_fraction: Share of each class of the training part that is the validation.

    Raises:
        UsageError: an argument is out of its range.
    """

    sample_name = "case"
    conformance_arguments: ClassVar[dict[str, Any]] = {"problem": "JapaneseVowels"}
    keep_best = True

    def __init__(
        self,
        root: str = "data/series",
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        problem: str = "",
        missing: Literal["refuse", "interpolate"] = "refuse",
        val_fraction: float = 0.0,
    ) -> None:
        super().__init__(root, batch_size, num_workers, seed, split)
        one_of("missing", missing, ("refuse", "interpolate"))
        fractions(val_fraction=val_fraction)
        self.problem, self.missing, self.val_fraction = problem, missing, val_fraction
        self._parts: dict[Part, _Series] = {}
        self._facts: Facts = {}
        self._pool = FoldSamples([])

    @property
    def facts(self) -> Facts:
        """Classes, channels, and mean and deviation of each channel on the training part.

        Raises:
            UsageError: files are missing, unreadable or inconsistent.
        """
        self._read()
        return self._facts

    def fold_samples(self) -> FoldSamples:
        """The series of the training file, which validation is taken of, with their classes."""
        self._read()
        return FoldSamples([]) if self.split == "all" else self._pool

    def samples(self, part: Part) -> _Series:
        self._read()
        return self._parts[part]

    def train_loader(self, samples: _Series) -> Any:
        return self.loader(samples, shuffle=True, collate_fn=collate)

    def eval_loader(self, samples: _Series) -> Any:
        return self.loader(samples, collate_fn=collate)

    def _read(self) -> None:
        if self._parts:
            return
        train, test = (self._prepared(path) for path in find_files(Path(self.root), self.problem))
        names = sorted({case.label for case in train})
        if len(names) < 2:
            raise UsageError(
                f"{self.root}: all series of the training part are of the class {names[0]!r}; "
                "there is nothing to tell apart"
            )
        for case in test:
            if case.label not in names:
                raise UsageError(
                    f"{case.where} has the class {case.label!r}, which no series of the training "
                    f"part has; it has {', '.join(names)}"
                )
        channels = train[0].values.shape[1]
        for case in (*train, *test):
            if case.values.shape[1] != channels:
                raise UsageError(
                    f"{case.where} has {case.values.shape[1]} channels, the first has {channels}"
                )
        # A place in the file, as series have no names of their own.
        self._pool = FoldSamples(
            [f"{Path(case.where).name} {case.label}" for case in train],
            [case.label for case in train],
        )
        held = self._held_out([names.index(case.label) for case in train])
        seen = [case for case, out in zip(train, held, strict=True) if not out]
        everything = np.concatenate([case.values for case in seen])
        self._facts = {
            "num_classes": len(names),
            "label_names": names,
            "channels": channels,
            "mean": [round(float(value), 6) for value in everything.mean(0)],
            "std": [round(float(value), 6) for value in everything.std(0).clip(1e-6)],
        }
        cases, tested = (_samples(each, names) for each in (train, test))
        if self.split == "all":
            found: dict[Part, list[Sample]] = {"train": [], "val": [], "test": [*cases, *tested]}
        else:
            pairs = list(zip(cases, held, strict=True))
            found = {
                "train": [case for case, out in pairs if not out],
                "val": [case for case, out in pairs if out],
                "test": tested,
            }
        self._parts = {part: _Series(each) for part, each in found.items()}

    def _held_out(self, labels: Sequence[int]) -> list[bool]:
        """Of each series of the training file, whether it is validated on."""
        if self.split == "all":
            return [False] * len(labels)
        if self.fold is not None:
            return self.fold.is_val(self._pool, self.root)
        held = np.zeros(len(labels), dtype=bool)
        random = np.random.default_rng(0)
        for label in dict.fromkeys(labels):
            found = np.flatnonzero(np.array(labels) == label)
            held[random.permutation(found)[: round(self.val_fraction * len(found))]] = True
        return held.tolist()

    def _prepared(self, path: Path) -> list[Case]:
        cases = read_series(path)
        lacking = [case for case in cases if np.isnan(case.values).any()]
        if lacking and self.missing == "refuse":
            raise UsageError(
                f"{len(lacking)} series of {path} have missing values, the first at "
                f"{lacking[0].where}; --data.missing interpolate fills them in time"
            )
        return [Case(case.where, interpolated(case), case.label) for case in cases]


def _samples(cases: Sequence[Case], names: list[str]) -> list[Sample]:
    return [
        {
            "series": torch.from_numpy(case.values.astype(np.float32)),
            "label": torch.tensor(names.index(case.label)),
        }
        for case in cases
    ]


def find_files(root: Path, problem: str = "") -> tuple[Path, Path]:
    """The training and the test file of a folder.

    Raises:
        UsageError: there are none, or several problems and none is named.
    """
    if not root.is_dir():
        raise UsageError(f"there is no folder {root}; point --data.root at the files")
    pairs = {}
    for suffix in SUFFIXES:
        inside = [*root.glob(f"*_TRAIN{suffix}"), *root.glob(f"*/*_TRAIN{suffix}")]
        for path in sorted(inside):
            test = path.with_name(path.name.replace("_TRAIN", "_TEST"))
            if test.is_file():
                pairs[path.name.removesuffix(f"_TRAIN{suffix}")] = (path, test)
    if not pairs:
        raise UsageError(
            f"{root} has no pair of files such as NAME_TRAIN.ts and NAME_TEST.ts (or .tsv)"
        )
    if problem and problem not in pairs:
        raise UsageError(f"{root} has no problem {problem!r}; it has {', '.join(pairs)}")
    if not problem and len(pairs) > 1:
        raise UsageError(f"{root} has {', '.join(pairs)}; name one by --data.problem")
    return pairs[problem] if problem else next(iter(pairs.values()))


def read_series(path: Path) -> list[Case]:
    """The cases of a .ts or .tsv file.

    Raises:
        UsageError: it cannot be read; file and line are named.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as text: {error}") from error
    tabbed = path.suffix == ".tsv"
    cases, begun = [], tabbed
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not begun and text.lower().startswith("@timestamps true"):
            raise UsageError(f"{path}, line {number}: series with time stamps are not read")
        if not text or text[0] in "#@%":
            begun = begun or text.lower() == "@data"
            continue
        if not begun:
            raise UsageError(f"{path}, line {number} stands before @data and is no @ line")
        cases.append(_case(f"{path}, line {number}", text, tabbed))
    if not cases:
        raise UsageError(f"{path} has no series")
    return cases


def _case(where: str, text: str, tabbed: bool) -> Case:
    label, *cells = text.split("\t") if tabbed else _label_first(text)
    channels = [cells] if tabbed else [cell.split(",") for cell in cells]
    if not cells:
        raise UsageError(f"{where} has no values; a class and a series belong there")
    longest = max(map(len, channels))
    values = np.full((longest, len(channels)), np.nan)
    for index, channel in enumerate(channels):
        for step, value in enumerate(channel):
            if (cleaned := value.strip()) not in ("?", "", "NaN", "nan"):
                values[step, index] = _number(cleaned, where)
    if tabbed:  # shorter series are filled up at the end
        last = np.flatnonzero(~np.isnan(values[:, 0]))
        values = values[: int(last[-1]) + 1] if len(last) else values[:0]
    if not len(values):
        raise UsageError(f"{where} has no values")
    return Case(where, values, label.strip())


def _label_first(text: str) -> list[str]:
    *channels, label = text.split(":")
    return [label, *channels]


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"{where} has {text!r}, which is not a number") from None
    if not np.isfinite(value):
        raise UsageError(f"{where} has {text!r}, which is not finite")
    return value


def interpolated(case: Case) -> np.ndarray:
    """The values with missing ones filled in along time, channel by channel.

    Raises:
        UsageError: a channel has no value at all.
    """
    values = case.values.copy()
    for channel in values.T:
        known = np.flatnonzero(~np.isnan(channel))
        if not len(known):
            raise UsageError(f"{case.where} has a channel without any value")
        if len(known) < len(channel):
            channel[:] = np.interp(np.arange(len(channel)), known, channel[known])
    return values
