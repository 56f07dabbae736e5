"""From a user's recording or image to symbols with their places: what ``zoo predict`` asks for."""

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
from torch import Tensor

from zoo.plugin import plots, write_atomically
from zoo_sequence import ctc
from zoo_sequence.front_ends import AnyFrontEnd, Source


@dataclass(frozen=True)
class Symbol:
    """A symbol that was read.

    Attributes:
        symbol: Its name.
        start: Where it begins on the likeliest path: seconds of sound, pixels from the left of an
            image.
        end: Where it ends.
        confidence: Its largest probability at a frame there.
    """

    symbol: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Recording:
    """What is to be read: a sound or an image, and its frames float32 (T, features)."""

    source: Source
    frames: Tensor


@dataclass(frozen=True)
class Transcript:
    """What was read.

    Attributes:
        text: All of it.
        symbols: In their order.
        confidence: The probability that the model gives to just this string.
        probabilities: float32 (T, classes).
        notes: What was done to the file, and what is suspicious.
    """

    text: str
    symbols: list[Symbol]
    confidence: float
    probabilities: np.ndarray
    notes: tuple[str, ...]


class FileReading:
    """Mixin of a recognizer: its members for files. The module has ``front_end``, ``label_names``,
    ``decode``, ``text`` and ``forward``."""

    front_end: AnyFrontEnd
    label_names: list[str]
    device: Any

    @property
    def input_suffixes(self) -> tuple[str, ...]:
        """Of the files that its front end reads."""
        return self.front_end.suffixes

    @abstractmethod
    def decode(self, log_probs: Tensor) -> list[int]:
        """Symbols from (T, classes)."""

    @abstractmethod
    def text(self, symbols: Sequence[int]) -> str:
        """Symbols as text."""

    def read_file(self, path: Path) -> Recording:
        """A recording, as one channel at the rate of the training, or an image, at its height.

        Raises:
            UsageError: it cannot be read, or holds nothing.
        """
        source = self.front_end.read(Path(path))
        return Recording(source, self.front_end.frames(source.samples))

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Probabilities (N, T, classes) of frames (N, T, features), or of a labelled batch."""
        frames, lengths = (
            (batch, None) if isinstance(batch, Tensor) else (batch["frames"], batch["lengths"])
        )
        probs: Tensor = self(frames, lengths).float().softmax(2)  # type: ignore[operator]
        return probs

    def predict_sample(self, sample: Recording) -> Transcript:
        """Read one recording or image."""
        frames = sample.frames[None].to(self.device)
        probs = self.predict_step(frames, 0)[0].detach().cpu()
        logs = probs.clamp_min(1e-30).log()
        found = self.decode(logs)
        spans = ctc.align(logs, found) if len(logs) >= ctc.frames_needed(found) else []
        step = self._step(sample.source)
        symbols = [
            Symbol(
                self.label_names[symbol],
                round(first * step, 3),
                round((last + 1) * step, 3),
                round(float(probs[first : last + 1, symbol].max()), 4),
            )
            for symbol, (first, last) in zip(found, spans, strict=False)
        ]
        whole = float(np.exp(ctc.log_probability(logs, found)))
        notes = sample.source.notes
        return Transcript(self.text(found), symbols, round(whole, 4), probs.numpy(), notes)

    def describe_prediction(self, output: Transcript) -> dict[str, Any]:
        """Text, its probability, symbols with their places, and notes on the file."""
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
        figure = self._emissions([title], [sample], [output])
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
        """The emissions of up to four files."""
        titles = [f"{name}: {o.text}" for name, o in zip(names, outputs, strict=True)]
        return self._emissions(titles[:4], samples[:4], outputs[:4])

    def _step(self, source: Source) -> float:
        step: float = self.front_end.step_of(source)  # type: ignore[arg-type]  # its own kind
        return step

    def _emissions(
        self, titles: Sequence[str], samples: Sequence[Recording], outputs: Sequence[Transcript]
    ) -> Figure:
        sources = [sample.source for sample in samples]
        steps = [self._step(source) for source in sources]
        probs = [output.probabilities for output in outputs]
        return emission_map(probs, self.label_names, steps, self.front_end.unit, titles, sources)

    def write_example_files(self, folder: Path) -> list[Path]:
        """Two short tones, or two lines in the font of Pillow."""
        return self.front_end.write_examples(folder, self.label_names)


def emission_map(
    probs: Sequence[np.ndarray],
    names: Sequence[str],
    steps: Sequence[float],
    unit: str,
    titles: Sequence[str],
    sources: Sequence[Source] | None = None,
) -> Figure:
    """The probabilities (T, classes) of symbols, under the sound or image where it is given.

    Args:
        probs: Of each file.
        names: Of the classes.
        steps: From a frame to the next, of each file.
        unit: Of the steps.
        titles: Of each file.
        sources: The files.
    """
    tall = 2 if sources else 1
    figure = Figure(figsize=(8, 2.2 * len(probs) * (1.4 if sources else 1)), layout="constrained")
    ratios = [1, 3] * len(probs) if sources else [1] * len(probs)
    axes = figure.subplots(tall * len(probs), 1, squeeze=False, height_ratios=ratios)[:, 0]
    for index, (each, title) in enumerate(zip(probs, titles, strict=True)):
        ax = axes[tall * index + tall - 1]
        top = axes[tall * index]
        end = len(each) * steps[index]
        if sources:
            sources[index].draw(top, end)
            top.set_xticks([])
            top.set_yticks([])
        top.set_title(title, fontsize=9)
        ax.imshow(
            each.T, aspect="auto", cmap="Greys", vmin=0, vmax=1, interpolation="nearest",
            extent=(0, end, len(names) - 0.5, -0.5),
        )  # fmt: skip
        ax.set_yticks(range(len(names)), ["blank", *names[1:]], fontsize=6)
    axes[-1].set_xlabel(unit)
    return figure


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()
