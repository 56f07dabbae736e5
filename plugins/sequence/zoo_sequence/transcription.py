"""From a user's recording to symbols with their times: what ``zoo predict`` asks for."""

from __future__ import annotations

import csv
import io
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.io import wavfile
from torch import Tensor

from zoo.plugin import plots, write_atomically
from zoo_sequence import ctc
from zoo_sequence.sound import FrontEnd, Wave, read_wave


@dataclass(frozen=True)
class Symbol:
    """A symbol that was read.

    Attributes:
        symbol: Its name.
        start: When it begins, in seconds, on the likeliest path.
        end: When it ends, in seconds.
        confidence: Its largest probability at a frame there.
    """

    symbol: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Recording:
    """A recording to be read: the sound, and its frames float32 (T, features)."""

    wave: Wave
    frames: Tensor


@dataclass(frozen=True)
class Transcript:
    """What was read.

    Attributes:
        text: All of it.
        symbols: In their order.
        confidence: The probability that the model gives to just this string.
        probabilities: float32 (T, classes).
        notes: What was done to the recording, and what is suspicious.
    """

    text: str
    symbols: list[Symbol]
    confidence: float
    probabilities: np.ndarray
    notes: tuple[str, ...]


class SoundReading:
    """Mixin of a recognizer: its members for files. The module has ``front_end``, ``label_names``,
    ``decode``, ``text`` and ``forward``."""

    front_end: FrontEnd
    label_names: list[str]
    device: Any
    input_suffixes = (".wav",)

    @abstractmethod
    def decode(self, log_probs: Tensor) -> list[int]:
        """Symbols from (T, classes)."""

    @abstractmethod
    def text(self, symbols: Sequence[int]) -> str:
        """Symbols as text."""

    def read_file(self, path: Path) -> Recording:
        """A recording, as one channel at the rate of the training.

        Raises:
            UsageError: it cannot be read, or holds no sound.
        """
        wave = read_wave(Path(path), self.front_end.rate)
        return Recording(wave, self.front_end.frames(wave.samples))

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Probabilities (N, T, classes) of frames (N, T, features), or of a labelled batch."""
        frames, lengths = (
            (batch, None) if isinstance(batch, Tensor) else (batch["frames"], batch["lengths"])
        )
        probs: Tensor = self(frames, lengths).float().softmax(2)  # type: ignore[operator]
        return probs

    def predict_sample(self, sample: Recording) -> Transcript:
        """Read one recording."""
        frames = sample.frames[None].to(self.device)
        probs = self.predict_step(frames, 0)[0].detach().cpu()
        logs = probs.clamp_min(1e-30).log()
        found = self.decode(logs)
        spans = ctc.align(logs, found) if len(logs) >= ctc.frames_needed(found) else []
        seconds = self.front_end.frame_seconds
        symbols = [
            Symbol(
                self.label_names[symbol],
                round(first * seconds, 3),
                round((last + 1) * seconds, 3),
                round(float(probs[first : last + 1, symbol].max()), 4),
            )
            for symbol, (first, last) in zip(found, spans, strict=False)
        ]
        whole = float(np.exp(ctc.log_probability(logs, found)))
        notes = sample.wave.notes
        return Transcript(self.text(found), symbols, round(whole, 4), probs.numpy(), notes)

    def describe_prediction(self, output: Transcript) -> dict[str, Any]:
        """Text, its probability, symbols with times in seconds, and notes on the recording."""
        return {
            "text": output.text,
            "confidence": output.confidence,
            "symbols": [asdict(symbol) for symbol in output.symbols],
            "notes": "; ".join(output.notes),
        }

    def write_prediction(
        self, name: str, sample: Recording, output: Transcript, folder: Path, probabilities: bool
    ) -> dict[str, str]:
        """Write ``symbols/NAME.csv`` and ``emissions/NAME.png``, and with probabilities
        ``probabilities/NAME.csv``, a row a frame."""
        rows = [list(asdict(symbol).values()) for symbol in output.symbols]
        title = f"{name}: {output.text}"
        figure = emission_map(
            [output.probabilities], self.label_names, self.front_end.frame_seconds, [title],
            [sample.wave],
        )  # fmt: skip
        picture = folder / "emissions" / f"{name}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        plots.save(figure, picture)
        written = {"emissions": picture}
        tables = {"symbols": (["symbol", "start", "end", "confidence"], rows)}
        if probabilities:
            tables["probabilities"] = (self.label_names, output.probabilities.tolist())
        for kind, (columns, lines) in tables.items():
            written[kind] = folder / kind / f"{name}.csv"
            write_atomically(written[kind], _table(columns, lines))
        return {kind: path.relative_to(folder).as_posix() for kind, path in written.items()}

    def draw_predictions(
        self, names: Sequence[str], samples: Sequence[Recording], outputs: Sequence[Transcript]
    ) -> Figure:
        """The emissions of up to four recordings."""
        titles = [f"{name}: {o.text}" for name, o in zip(names, outputs, strict=True)]
        probs = [output.probabilities for output in outputs]
        seconds = self.front_end.frame_seconds
        waves = [sample.wave for sample in samples]
        return emission_map(probs[:4], self.label_names, seconds, titles[:4], waves[:4])

    def write_example_files(self, folder: Path) -> list[Path]:
        """Two short tones."""
        paths = [folder / "low.wav", folder / "high.wav"]
        time = np.arange(self.front_end.rate // 2) / self.front_end.rate
        for path, pitch in zip(paths, (220, 660), strict=True):
            tone = (8000 * np.sin(2 * np.pi * pitch * time)).astype(np.int16)
            wavfile.write(path, self.front_end.rate, tone)
        return paths


def emission_map(
    probs: Sequence[np.ndarray],
    names: Sequence[str],
    frame_seconds: float,
    titles: Sequence[str],
    waves: Sequence[Wave] | None = None,
) -> Figure:
    """The probabilities (T, classes) of symbols over time, under the sound where it is given."""
    tall = 2 if waves else 1
    figure = Figure(figsize=(8, 2.2 * len(probs) * (1.4 if waves else 1)), layout="constrained")
    ratios = [1, 3] * len(probs) if waves else [1] * len(probs)
    axes = figure.subplots(tall * len(probs), 1, squeeze=False, height_ratios=ratios)[:, 0]
    for index, (each, title) in enumerate(zip(probs, titles, strict=True)):
        ax = axes[tall * index + tall - 1]
        top = axes[tall * index]
        if waves:
            samples = waves[index].samples.numpy()
            seconds = np.arange(len(samples)) / waves[index].rate
            top.plot(seconds, samples, linewidth=0.4, color="0.3")
            top.set_xlim(0, len(each) * frame_seconds)
            top.set_xticks([])
            top.set_yticks([])
        top.set_title(title, fontsize=9)
        span = (0, len(each) * frame_seconds, len(names) - 0.5, -0.5)
        ax.imshow(
            each.T, aspect="auto", cmap="Greys", vmin=0, vmax=1, extent=span,
            interpolation="nearest",
        )  # fmt: skip
        ax.set_yticks(range(len(names)), ["blank", *names[1:]], fontsize=6)
    axes[-1].set_xlabel("seconds")
    return figure


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()
