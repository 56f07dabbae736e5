"""What datasets of recordings share: frames, parts, augmentation, batches."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from zoo.plugin import BaseDataModule, EndlessDataset, Facts, Part, UsageError, within
from zoo_sequence.ctc import frames_needed
from zoo_sequence.front_ends import AnyFrontEnd, Source
from zoo_sequence.lines import LineFrontEnd

MEASURED = 400
"""Training recordings on which mean and deviation of the frames are measured."""
_SHOWN = 5


@dataclass(frozen=True)
class Utterance:
    """A recording, or an image of a line, and what is said in it.

    Attributes:
        name: For messages, such as ``7_theo_3.wav``.
        source: The sound, or the image.
        symbols: What is said, positions in ``label_names``; the blank, 0, is not among them.
        speaker: Who says it; empty where that is not known.
    """

    name: str
    source: Source
    symbols: tuple[int, ...]
    speaker: str = ""


Sample = dict[str, Tensor]
"""``frames`` float32 (T, features) and ``symbols`` int64 (L,)."""


def collate(samples: Sequence[Sample]) -> Sample:
    """A batch: ``frames`` (N, T, features) and ``symbols`` (N, L), both padded with zeros, and the
    ``lengths`` and ``symbol_counts`` (N,)."""
    frames, symbols = ([sample[key] for sample in samples] for key in ("frames", "symbols"))
    return {
        "frames": pad_sequence(frames, batch_first=True),
        "lengths": torch.tensor([len(each) for each in frames]),
        "symbols": pad_sequence(symbols, batch_first=True),
        "symbol_counts": torch.tensor([len(each) for each in symbols]),
    }


def generator(*key: object) -> torch.Generator:
    """A generator that depends on the key alone."""
    name = "/".join(map(str, key)).encode()
    seed = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little") >> 1
    return torch.Generator().manual_seed(seed)


class _Drawn(EndlessDataset):
    """Training samples by their number over all epochs."""

    def __init__(self, make: Callable[[int], Sample], length: int) -> None:
        super().__init__(length)
        self._make = make

    def __getitem__(self, number: int) -> Sample:
        return self._make(number)


class _Fixed(Dataset[Sample]):
    """Samples of validation or test, computed once."""

    def __init__(self, make: Callable[[int], Sample], length: int) -> None:
        self._make, self._length = make, length
        self._made: dict[int, Sample] = {}

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Sample:
        if index not in self._made:
            self._made[index] = self._make(index)
        return self._made[index]


class RecordingData(BaseDataModule[Any]):
    """Base of recordings with their transcripts, as frames.

    Args:
        root: The folder.
        batch_size: Recordings of a training step.
        num_workers: Processes that compute frames.
        seed: Of order and augmentation.
        split: Which recordings are the test part; see the subclass.
        front_end: Makes frames of them.
        warp: In training the frequencies are stretched by a random factor up to this from 1: other
            vocal tracts.
        tempo: In training the speed is changed by a random factor up to this from 1.
    """

    sample_name: ClassVar[str] = "recording"

    def __init__(
        self,
        root: str,
        batch_size: int,
        num_workers: int,
        seed: int,
        split: str,
        front_end: AnyFrontEnd,
        warp: float = 0.0,
        tempo: float = 0.0,
    ) -> None:
        super().__init__(root, batch_size, num_workers, seed, split)
        within("warp", warp, 0, 0.5)
        within("tempo", tempo, 0, 0.5)
        self.front_end = front_end
        self.warp, self.tempo = warp, tempo
        self._facts: Facts | None = None
        self._parts: dict[Part, Any] = {}

    # The subclass's part.

    @property
    @abstractmethod
    def label_names(self) -> list[str]:
        """The symbols, the blank first."""

    @abstractmethod
    def utterances(self, part: Part) -> list[Utterance]:
        """The recordings of a part."""

    @abstractmethod
    def draw(self, part: Part, number: int) -> Utterance:
        """The utterance of that number: of training over all epochs, otherwise in the part."""

    @abstractmethod
    def length(self, part: Part) -> int:
        """Utterances of an epoch, of the validation or of the test."""

    # What is the same for all.

    @property
    def facts(self) -> Facts:
        """Symbols, front end, and mean and deviation of the training frames.

        Raises:
            UsageError: recordings or transcripts are missing, unreadable or inconsistent.
        """
        if self._facts is None:
            names = self.label_names
            self._facts = {
                "num_classes": len(names),
                "label_names": names,
                "front_end": self.front_end.described,
                **self._statistics(),
            }
        return self._facts

    def _statistics(self) -> dict[str, list[float]]:
        """Mean and deviation of each feature on the training part, as it is recorded."""
        found = self.utterances("train") or self.utterances("test")
        step = max(1, len(found) // MEASURED)
        frames = torch.cat([self.front_end.frames(each.source.samples) for each in found[::step]])
        mean, deviation = frames.mean(0), frames.std(0).clamp_min(1e-3)
        if isinstance(self.front_end, LineFrontEnd):  # rows above and below the ink do not vary
            mean, deviation = mean.mean().expand_as(mean), frames.std().expand_as(mean)
        return {
            "mean": [round(value, 5) for value in mean.tolist()],
            "std": [round(value, 5) for value in deviation.tolist()],
        }

    def samples(self, part: Part) -> Any:
        """The samples of a part."""
        if part not in self._parts:
            length = self.length(part)
            if part == "train":
                self._parts[part] = _Drawn(self.training_sample, length) if length else []
            else:
                self._parts[part] = _Fixed(partial(self.sample, part), length)
        return self._parts[part]

    def training_sample(self, number: int) -> Sample:
        """A sample with its augmentation."""
        utterance = self.draw("train", number)
        random = generator("augment", self.seed, number)
        drawn = (2 * torch.rand(2, generator=random) - 1).tolist()
        return self._sample(utterance, 1 + self.warp * drawn[0], 1 + self.tempo * drawn[1])

    def sample(self, part: Part, index: int) -> Sample:
        """A sample of validation or test."""
        return self._sample(self.draw(part, index))

    def _sample(self, utterance: Utterance, warp: float = 1.0, tempo: float = 1.0) -> Sample:
        frames = self.front_end.frames(utterance.source.samples, warp, tempo)
        return {"frames": frames, "symbols": torch.tensor(utterance.symbols)}

    def train_loader(self, samples: Any) -> Any:
        return self.loader(samples, collate_fn=collate)

    def eval_loader(self, samples: Any) -> Any:
        return self.loader(samples, max(self.batch_size, 32), collate_fn=collate)

    def describe_found(self) -> list[str]:
        """Counts, and what was done to recordings."""
        return [*super().describe_found(), *notes_of(self._all())]

    def _all(self) -> Iterable[Utterance]:
        for part in ("train", "val", "test"):
            yield from self.utterances(part)


def notes_of(utterances: Iterable[Utterance]) -> list[str]:
    """What was done to recordings, and how many of them are suspicious, in phrases."""
    counts: dict[str, list[str]] = {}
    for each in utterances:
        for note in each.source.notes:
            kind = note.partition(":")[0]
            counts.setdefault(kind, []).append(each.name)
    return [f"{len(names)} {kind} (such as {names[0]})" for kind, names in counts.items()]


def require_long_enough(
    root: str, front_end: AnyFrontEnd, what: str, remedy: str, utterances: Sequence[Utterance]
) -> None:
    """Refuse what has fewer frames than CTC needs for their transcripts.

    Raises:
        UsageError: there are some; the first few are named.
    """
    short = []
    for each in utterances:
        frames = front_end.count(each.source.samples)
        needed = frames_needed(each.symbols)
        if frames < needed:
            short.append(f"{each.name} ({frames} frames, {needed} needed)")
    if short:
        more = f" and {len(short) - _SHOWN} more" if len(short) > _SHOWN else ""
        raise UsageError(
            f"{root}: {len(short)} {what} are shorter than CTC needs for their transcripts: "
            f"{', '.join(short[:_SHOWN])}{more}; correct the transcripts, leave them out, or "
            f"lower {remedy}"
        )
