"""From a user's clip to words with their times."""

from __future__ import annotations

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from zoo.plugin import write_atomically
from zoo_lipreading import ctc_times
from zoo_lipreading.clip_files import SUFFIXES, ClipSample, read_clip
from zoo_lipreading.data.align import Segment
from zoo_lipreading.drawing import gif, word_sheet
from zoo_lipreading.example_files import write_avletters, write_mouths

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Word:
    """A word that was read.

    Attributes:
        word: The word.
        start: When it begins, in seconds.
        end: When it ends, in seconds.
        confidence: Probability that the model gives it; of CTC, the mean of its symbols'.
    """

    word: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class ClipPrediction:
    """What a model read from a `ClipSample`.

    Attributes:
        words: In their order.
        rows: What the probabilities are of: the words' places, or frames.
        probabilities: float32 (rows, classes).
        frame_rate: Frames a second.
    """

    words: list[Word]
    rows: str
    probabilities: np.ndarray
    frame_rate: float = 25.0


class ClipReading(ABC):
    """Mixin of a lipreading LightningModule: what ``zoo.inference.predict`` asks for.

    The module has ``label_names``, ``frame_rate`` and ``preprocessing``, the latter two facts of
    the data it was trained on.
    """

    label_names: list[str]
    frame_rate: float
    preprocessing: dict[str, Any]
    device: Any

    @property
    def audio_features(self) -> int | None:
        """Features of a frame of sound that the model takes; None if it takes none."""
        return None

    @property
    def input_suffixes(self) -> tuple[str, ...]:
        """Videos, and files of mouths: ``.mat`` of AVLetters and ``.npy``."""
        return SUFFIXES

    def read_file(self, path: Path) -> ClipSample:
        """Find the mouth in a video, or read a file of mouths, and prepare it as the training
        data were; see ``zoo_lipreading.clip_files``.

        Raises:
            UsageError: the file cannot be used, or there is no face in it.
        """
        return read_clip(Path(path), self.preprocessing, self.frame_rate, self.audio_features)

    def write_example_files(self, folder: Path) -> list[Path]:
        """Two clips: mouths without sound, or AVLetters with it; none where the sound of the
        training's clips is in no file that can be read."""
        if self.audio_features is None:
            return write_mouths(folder)
        if self.preprocessing.get("sound") == "publisher":
            return write_avletters(folder, self.audio_features)
        return []

    @abstractmethod
    def predict_sample(self, sample: ClipSample) -> ClipPrediction:
        """Read one clip."""

    def probabilities_of(self, output: ClipPrediction) -> Tensor:
        """The probabilities (classes, places or frames)."""
        return torch.from_numpy(output.probabilities).T

    @abstractmethod
    def with_probabilities(self, output: ClipPrediction, probabilities: Tensor) -> ClipPrediction:
        """What other probabilities (classes, places or frames) say of the clip."""

    def describe_prediction(self, output: ClipPrediction) -> dict[str, Any]:
        """The text, the least confidence of its words, and the words with times in seconds."""
        return {
            "text": " ".join(word.word for word in output.words),
            "confidence": min((word.confidence for word in output.words), default=0.0),
            "words": [asdict(word) for word in output.words],
        }

    def write_prediction(
        self,
        name: str,
        sample: ClipSample,
        output: ClipPrediction,
        folder: Path,
        probabilities: bool = False,
    ) -> dict[str, str]:
        """Write ``words/NAME.csv`` and ``mouths/NAME.gif``, the mouth with the words under it.

        Args:
            name: Of the files, without suffix.
            sample: What was read.
            output: What was predicted.
            folder: Where to write.
            probabilities: Write ``probabilities/NAME.csv`` too: a row for each word's place, of
                CTC for each frame.

        Returns:
            The files written, relative to ``folder``.
        """
        words = [list(asdict(word).values()) for word in output.words]
        files = {
            "words": (".csv", _table(["word", "start", "end", "confidence"], words)),
            "mouths": (".gif", gif(sample.mouth, sample.frame_rate, output.words)),
        }
        if probabilities:
            rows = [[index, *row] for index, row in enumerate(output.probabilities.tolist())]
            files["probabilities"] = (".csv", _table([output.rows, *self.label_names], rows))
        written = {}
        for kind, (suffix, content) in files.items():
            path = folder / kind / f"{name}{suffix}"
            write_atomically(path, content)
            written[kind] = path.relative_to(folder).as_posix()
        return written

    def draw_predictions(
        self,
        names: Sequence[str],
        samples: Sequence[ClipSample],
        outputs: Sequence[ClipPrediction],
    ) -> Figure:
        """The first clip's mouths, word by word."""
        sample, words = samples[0], outputs[0].words
        return word_sheet(sample.mouth, sample.frame_rate, words, heading=names[0])


class WordReading(ClipReading):
    """Mixin of models that tell words apart: ``predict_step`` gives probabilities (N, classes).

    Where an alignment lies beside the file each of its words is read; otherwise the clip is one.
    """

    def predict_sample(self, sample: ClipSample) -> ClipPrediction:
        places = sample.segments or [Segment("", 0, len(sample.video) - 1)]
        batch = _batch(sample, places)
        moved = {key: value.to(self.device) for key, value in batch.items()}
        probs = self.predict_step(moved, 0).float().cpu()  # type: ignore[attr-defined]
        words = [
            Word(
                self.label_names[int(prob.argmax())],
                **_seconds(place.first, place.last, sample.frame_rate),
                confidence=round(float(prob.max()), 4),
            )
            for place, prob in zip(places, probs, strict=True)
        ]
        return ClipPrediction(words, "word", probs.numpy(), sample.frame_rate)

    def with_probabilities(self, output: ClipPrediction, probabilities: Tensor) -> ClipPrediction:
        words = [
            replace(
                word,
                word=self.label_names[int(prob.argmax())],
                confidence=round(float(prob.max()), 4),
            )
            for word, prob in zip(output.words, probabilities.T, strict=True)
        ]
        return replace(output, words=words, probabilities=probabilities.T.numpy())


class SentenceReading(ClipReading):
    """Mixin of models trained by CTC: ``predict_step`` gives probabilities (N, T, symbols), and
    ``decode_symbols`` what they spell."""

    @abstractmethod
    def decode_symbols(self, log_probabilities: Tensor) -> list[int]:
        """Symbols of one clip, without blanks, from (T, symbols); the model's part."""

    def predict_sample(self, sample: ClipSample) -> ClipPrediction:
        video = sample.video[None].to(self.device)
        batch = {"video": video, "lengths": torch.tensor([video.shape[1]], device=video.device)}
        probs = self.predict_step(batch, 0)[0].float().cpu()  # type: ignore[attr-defined]
        return self._read(probs, sample.frame_rate)

    def with_probabilities(self, output: ClipPrediction, probabilities: Tensor) -> ClipPrediction:
        return self._read(probabilities.T.contiguous(), output.frame_rate)

    def _read(self, probs: Tensor, rate: float) -> ClipPrediction:
        """What probabilities (frames, symbols) spell."""
        log_probs = probs.clamp_min(torch.finfo(probs.dtype).tiny).log()
        symbols = self.decode_symbols(log_probs)
        frames = ctc_times.align(log_probs.double().numpy(), symbols)
        words = [
            Word(
                "".join(self.label_names[symbols[index]] for index in group),
                **_seconds(frames[group[0]][0], frames[group[-1]][1], rate),
                confidence=round(_confidence(probs, symbols, frames, group), 4),
            )
            for group in self._groups(symbols)
        ]
        return ClipPrediction(words, "frame", probs.numpy(), rate)

    def _groups(self, symbols: Sequence[int]) -> list[list[int]]:
        """Places of the symbols that make up each word."""
        if " " not in self.label_names:
            return [[index] for index in range(len(symbols))]
        groups: list[list[int]] = [[]]
        for index, symbol in enumerate(symbols):
            if self.label_names[symbol] == " ":
                groups.append([])
            else:
                groups[-1].append(index)
        return [group for group in groups if group]


def _seconds(first: int, last: int, rate: float) -> dict[str, float]:
    """The time from a frame's beginning to the end of another."""
    return {"start": round(first / rate, 3), "end": round((last + 1) / rate, 3)}


def _confidence(
    probs: Tensor, symbols: Sequence[int], frames: Sequence[tuple[int, int]], group: Sequence[int]
) -> float:
    """Mean over a word's symbols of their mean probability."""
    each = [
        probs[frames[index][0] : frames[index][1] + 1, symbols[index]].mean() for index in group
    ]
    return float(torch.stack(each).mean())


def _batch(sample: ClipSample, places: Sequence[Segment]) -> dict[str, Tensor]:
    """Each word's place as a clip."""
    clips = {"video": (sample.video, "lengths")}
    if sample.audio is not None:
        clips["audio"] = (sample.audio, "audio_lengths")
    batch: dict[str, Tensor] = {}
    for key, (whole, lengths) in clips.items():
        scale = len(whole) / len(sample.video)
        cut = [
            whole[int(place.first * scale) : max(1, round((place.last + 1) * scale))]
            for place in places
        ]
        batch[key] = pad_sequence(cut, batch_first=True)
        batch[lengths] = torch.tensor([len(part) for part in cut])
    return batch


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()
