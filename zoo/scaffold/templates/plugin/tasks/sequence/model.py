"""A small LSTM that transcribes sequences of frames."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.text import CharErrorRate, WordErrorRate

from zoo.plugin import UsageError

BLANK = 0  # of CTC; the symbols are the classes from 1 on


class Transcriber(nn.Module):
    """An LSTM and a linear layer; usable without Lightning.

    Takes float (N, T, features), gives logits (N, T, 1 + num_classes). It only looks back, so
    that the padding behind a sequence does not change what is before it.

    Args:
        features: Numbers in a frame.
        num_classes: Number of symbols.
        hidden: Cells of the LSTM.
    """

    def __init__(self, features: int, num_classes: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1 + num_classes)

    def forward(self, frames: Tensor) -> Tensor:
        logits: Tensor = self.head(self.lstm(frames)[0])
        return logits


class SequenceTranscriber(LightningModule):
    """The net, its loss and its metrics. The constructor arguments alone rebuild it.

    The loss is connectionist temporal classification: only the words are known, not where in
    the sequence each symbol is (Graves, Fernandez, Gomez, Schmidhuber: Connectionist Temporal
    Classification, ICML 2006).

    Args:
        num_classes: Number of symbols. Filled in from the data.
        label_names: The symbols, one character each. Filled in from the data.
        features: Numbers in a frame. Filled in from the data.
        hidden: Cells of the LSTM.
        lr: Learning rate of Adam.
    """

    def __init__(
        self,
        num_classes: int,
        label_names: list[str],
        features: int,
        hidden: int = 48,
        lr: float = 0.01,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.label_names, self.features, self.lr = label_names, features, lr
        self.network = Transcriber(features, num_classes, hidden)
        self.val_cer, self.test_cer = CharErrorRate(), CharErrorRate()
        self.val_wer, self.test_wer = WordErrorRate(), WordErrorRate()

    @property
    def head(self) -> tuple[str, ...]:
        """The submodules that `zoo finetune` replaces for a new task."""
        return ("network.head",)

    @property
    def example_input(self) -> Tensor:
        return torch.zeros(2, 25, self.features)

    def forward(self, frames: Tensor) -> Tensor:
        """Logits (N, T, 1 + num_classes) of frames (N, T, features); class 0 is the blank."""
        logits: Tensor = self.network(frames)
        return logits

    def transcribe(self, logits: Tensor, frame_counts: Tensor) -> list[str]:
        """The likeliest class of every frame, repetitions merged and blanks left out.

        Args:
            logits: (N, T, 1 + num_classes).
            frame_counts: (N,), frames of each sequence.
        """
        best = logits.argmax(2).tolist()
        merged = [
            [symbol for symbol, _ in groupby(path[:count])]
            for path, count in zip(best, frame_counts.tolist(), strict=True)
        ]
        return [self._text([s - 1 for s in path if s != BLANK]) for path in merged]

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = self._loss(self(batch[0]), batch)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch[0]))
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._measure(batch, "val", self.val_cer, self.val_wer)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._measure(batch, "test", self.test_cer, self.test_wer)

    def _measure(self, batch: Any, stage: str, cer: CharErrorRate, wer: WordErrorRate) -> None:
        logits = self(batch[0])
        found, truth = self.transcribe(logits, batch[2]), self._truth(batch)
        cer.update(found, truth)
        wer.update(found, truth)
        loss = self._loss(logits, batch)
        self.log(f"{stage}/loss", loss, batch_size=len(truth), sync_dist=True)
        self.log(f"{stage}/cer", cer, batch_size=len(truth))
        self.log(f"{stage}/wer", wer, batch_size=len(truth))

    def _loss(self, logits: Tensor, batch: Any) -> Tensor:
        _, words, frame_counts, lengths = batch
        scores = logits.log_softmax(2).transpose(0, 1)  # time first, as CTC takes it
        return F.ctc_loss(scores, words + 1, frame_counts, lengths, blank=BLANK)

    def _truth(self, batch: Any) -> list[str]:
        _, words, _, lengths = batch
        rows = zip(words.tolist(), lengths.tolist(), strict=True)
        return [self._text(word[:length]) for word, length in rows]

    def _text(self, symbols: list[int]) -> str:
        return "".join(self.label_names[symbol] for symbol in symbols)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.lr)

    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """The symbol that the net takes every frame for, in sequences of a batch of test data."""
        batch = [part[:4] for part in batch]
        logits = self(batch[0])
        found, truth = self.transcribe(logits, batch[2]), self._truth(batch)
        titles = [f"{word} -> {text}" for word, text in zip(truth, found, strict=True)]
        return {"transcriptions": self._draw(logits, titles, batch[2].tolist())}

    def _draw(self, logits: Tensor, titles: Sequence[str], frame_counts: Sequence[int]) -> Figure:
        shares = logits.softmax(2).transpose(1, 2).cpu().numpy()
        figure = Figure(figsize=(8, 1.8 * len(titles)), layout="constrained")
        for index, title in enumerate(titles):
            axes = figure.add_subplot(len(titles), 1, index + 1)
            axes.imshow(shares[index], aspect="auto", vmin=0, vmax=1)
            axes.axvline(frame_counts[index] - 0.5, color="white")
            axes.set_yticks(range(1 + len(self.label_names)), ["blank", *self.label_names])
            axes.set_title(title)
        return figure

    # What `zoo predict REF FILES` asks for.

    input_suffixes = (".csv",)

    def read_file(self, path: Path) -> Tensor:
        """A sequence, a frame a line: float32 (T, features).

        Raises:
            UsageError: it is not one.
        """
        try:
            frames = np.loadtxt(path, dtype=np.float32, delimiter=",", ndmin=2)
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} cannot be read as numbers: {error}") from error
        if not len(frames) or frames.shape[1] != self.features:
            raise UsageError(f"{path} is not lines of {self.features} numbers with commas between")
        return torch.from_numpy(frames)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Logits (N, T, 1 + num_classes)."""
        logits: Tensor = self(batch)
        return logits

    def describe_prediction(self, output: Tensor) -> dict[str, Any]:
        """A row of the table."""
        return {"text": self.transcribe(output[None], torch.tensor([len(output)]))[0]}

    def draw_predictions(
        self, names: Sequence[str], samples: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> Figure:
        """A page of the symbols that the net takes every frame for."""
        longest = max(map(len, outputs))
        logits = torch.stack([F.pad(each, (0, 0, 0, longest - len(each))) for each in outputs])
        texts = [self.describe_prediction(each)["text"] for each in outputs]
        titles = [f"{name}: {text}" for name, text in zip(names, texts, strict=True)]
        return self._draw(logits, titles, [len(each) for each in outputs])
