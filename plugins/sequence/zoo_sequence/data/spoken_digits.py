"""Spoken digits, one by one or connected: the layout of the Free Spoken Digit Dataset."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from zoo.plugin import Part, UsageError, at_least, nearest, within
from zoo_sequence.data.recordings import RecordingData, Utterance, generator
from zoo_sequence.front_ends import Source
from zoo_sequence.sound import FrontEnd, Wave

NAME = re.compile(r"(\d)_(\w+)_(\d+)\.wav")
DIGITS = [str(digit) for digit in range(10)]
TESTED_INDICES = range(5)
"""Of each speaker and digit, by the publisher's split."""
STRINGS = {"val": 150, "test": 300}


class SpokenDigits(RecordingData):
    """Digits of the Free Spoken Digit Dataset, read in place: ``recordings/7_theo_3.wav``.

    A sample is a string of 1 to ``digits`` recordings of one speaker joined end to end; where one
    ends and the next begins is not told. Those of training are drawn without end; validation (150)
    and test (300) are always the same ones, whatever the seed.

    All recordings of a speaker were made in one sitting: the publisher's split tests voices and
    rooms that were trained on. ``speaker:NAME`` does not.

    Source: https://github.com/Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0.

    Args:
        root: The folder that holds ``recordings``, or the recordings themselves.
        batch_size: Strings of a training step.
        num_workers: Processes that compute frames.
        seed: Of the training strings and their augmentation.
        split: ``index``: indices 0 to 4 are the test, as published, 45 to 49 the validation;
            ``speaker:NAME``: all of that speaker are the test; ``all``.
        val_speaker: A speaker who is the validation instead, never trained on.
        digits: The most digits of a string; 1 for single ones.
        curriculum: Strings so far to the most digits of them, such as ``{"0": 1, "2400": 3,
            "4800": 7}``; always ``digits`` without.
        gap: The most seconds of the room's noise between two digits, drawn anew for each.
        epoch: Training strings of what is called an epoch.
        rate: Samples a second to which recordings are brought.
        cepstra: Coefficients of a frame, their differences not counted.
        stack: Neighboring frames of 10 ms joined into one.
        warp: In training the frequencies are stretched by a random factor up to this from 1.
        tempo: In training the speed is changed by a random factor up to this from 1.

    Raises:
        UsageError: an argument is out of its range.
    """

    splits: ClassVar[Sequence[str] | None] = None
    sample_name = "string"
    conformance_arguments: ClassVar[dict[str, Any]] = {"digits": 2, "curriculum": {}, "epoch": 64}

    def __init__(
        self,
        root: str = "data/spoken-digits",
        batch_size: int = 16,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "index",
        val_speaker: str = "",
        digits: int = 7,
        curriculum: dict[str, int] | None = None,
        gap: float = 0.0,
        epoch: int = 1200,
        rate: int = 8000,
        cepstra: int = 13,
        stack: int = 2,
        warp: float = 0.0,
        tempo: float = 0.0,
    ) -> None:
        super().__init__(
            root,
            batch_size,
            num_workers,
            seed,
            split,
            FrontEnd(rate=rate, cepstra=cepstra, stack=stack),
            warp,
            tempo,
        )
        if split not in ("index", "all") and not split.startswith("speaker:"):
            raise UsageError(f"split is {split!r}: it has to be index, speaker:NAME or all")
        at_least("digits", digits, 1)
        at_least("epoch", epoch, 1)
        within("gap", gap, 0, 5)
        self.rate, self.val_speaker = rate, val_speaker
        self.digits, self.gap, self.epoch = digits, gap, epoch
        self.curriculum = _curriculum(curriculum or {}, digits)
        self._found: dict[Part, list[Utterance]] | None = None
        self._by_speaker: dict[Part, dict[str, list[Utterance]]] = {}

    @property
    def label_names(self) -> list[str]:
        """The blank and the ten digits."""
        return ["-", *DIGITS]

    def utterances(self, part: Part) -> list[Utterance]:
        """The single recordings of a part, read once."""
        if self._found is None:
            files = _files(Path(self.root))
            parts = self._divide(files)
            self._found = {
                name: [
                    Utterance(path.name, self.front_end.read(path), (int(digit) + 1,), speaker)
                    for path, digit, speaker, _ in chosen
                ]
                for name, chosen in parts.items()
            }
        return self._found[part]

    def _divide(self, files: list[tuple[Path, str, str, int]]) -> dict[Part, list[Any]]:
        speakers = sorted({speaker for _, _, speaker, _ in files})
        held = self.split.removeprefix("speaker:") if ":" in self.split else ""
        for name, argument in ((held, "split"), (self.val_speaker, "val_speaker")):
            if name and name not in speakers:
                near = nearest(name, speakers, 1)
                hint = f"; did you mean {near}?" if near else ""
                raise UsageError(
                    f"{argument} names the speaker {name!r}, and {self.root} has "
                    f"{', '.join(speakers)}{hint}"
                )
        parts: dict[Part, list[Any]] = {"train": [], "val": [], "test": []}
        for each in files:
            parts[self._part(each[2], each[3], held)].append(each)
        return parts

    def _part(self, speaker: str, index: int, held: str) -> Part:
        if self.split == "all" or (held and speaker == held):
            return "test"
        if not held and index in TESTED_INDICES:
            return "test"
        if self.val_speaker:
            return "val" if speaker == self.val_speaker else "train"
        return "val" if index >= 45 else "train"

    def length(self, part: Part) -> int:
        if not self.utterances(part):
            return 0
        return self.epoch if part == "train" else STRINGS[part]

    def draw(self, part: Part, number: int) -> Utterance:
        """A string: speaker, number of digits and recordings are drawn."""
        if part not in self._by_speaker:
            self._by_speaker[part] = {}
            for each in self.utterances(part):
                self._by_speaker[part].setdefault(each.speaker, []).append(each)
        training = part == "train"
        random = generator(self.seed if training else "fixed", part, number)
        pools = self._by_speaker[part]
        speaker = sorted(pools)[_integer(len(pools), random)]
        most = self.most_digits(number) if training else self.digits
        count = 1 + _integer(most, random)
        chosen = [pools[speaker][_integer(len(pools[speaker]), random)] for _ in range(count)]
        return self._join(chosen, random)

    def most_digits(self, number: int) -> int:
        """The most digits of a training string of that number."""
        most = self.digits
        for start, value in self.curriculum:
            if number >= start:
                most = value
        return most

    def _join(self, chosen: list[Utterance], random: torch.Generator) -> Utterance:
        pieces: list[Tensor] = []
        for each in chosen:
            if pieces and self.gap:
                pieces.append(_noise(each.source, self.rate, self.gap, random))
            pieces.append(each.source.samples)
        wave = Wave(torch.cat(pieces), self.rate)
        symbols = tuple(symbol for each in chosen for symbol in each.symbols)
        return Utterance("+".join(each.name for each in chosen), wave, symbols, chosen[0].speaker)


def _curriculum(given: dict[str, int], digits: int) -> list[tuple[int, int]]:
    """Pairs of a number of strings and the most digits from there on, in order.

    Raises:
        UsageError: a key is not a whole number, or there would be more digits than ``digits``.
    """
    pairs = []
    for key, most in given.items():
        if not str(key).isdecimal() or not 1 <= most <= digits:
            raise UsageError(
                f"curriculum has {key!r}: {most}: it maps numbers of strings to the most digits, "
                f"1 to {digits}"
            )
        pairs.append((int(key), int(most)))
    return sorted(pairs)


def _integer(end: int, random: torch.Generator) -> int:
    return int(torch.randint(end, (), generator=random))


def _noise(source: Source, rate: int, longest: float, random: torch.Generator) -> Tensor:
    """As loud as the first 10 ms of a recording, of a random length."""
    seconds = longest * float(torch.rand((), generator=random))
    level = source.samples[: rate // 100].std().nan_to_num()
    return level * torch.randn(int(seconds * rate), generator=random)


def _files(root: Path) -> list[tuple[Path, str, str, int]]:
    """Every recording with digit, speaker and index.

    Raises:
        UsageError: there is no folder, or nothing in it is named as a recording is.
    """
    folder = root / "recordings" if (root / "recordings").is_dir() else root
    if not folder.is_dir():
        raise UsageError(
            f"there is no folder {root}: download the Free Spoken Digit Dataset, or point "
            "--data.root at the folder that holds recordings"
        )
    matches = [(path, NAME.fullmatch(path.name)) for path in sorted(folder.glob("*.wav"))]
    found = [(path, m[1], m[2], int(m[3])) for path, m in matches if m]
    if not found:
        raise UsageError(
            f"no file in {folder} is named as 7_theo_3.wav is (digit, speaker, index); for "
            "recordings of your own take the data wave-folder"
        )
    return found
