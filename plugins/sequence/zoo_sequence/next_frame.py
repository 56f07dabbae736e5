"""Polyphonic music step by step: which notes come next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from matplotlib.figure import Figure
from torch import Tensor, nn
from torchmetrics import MeanMetric

from zoo.plugin import UsageError, above, at_least, one_of, optim, plots, within, write_atomically
from zoo_sequence.csv_files import read_steps
from zoo_sequence.encoders import KINDS, Encoder, gate_biases
from zoo_sequence.midi import read_midi, roll_to_midi

if TYPE_CHECKING:
    from zoo_sequence.data.piano_rolls import Sample


class NextFrameNet(nn.Module):
    """Recurrent layers and a linear layer; usable without Lightning.

    Args:
        encoder: In one direction.
        notes: How many there are.
    """

    def __init__(self, encoder: Encoder, notes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.output = nn.Linear(encoder.width, notes)

    def forward(self, roll: Tensor) -> Tensor:
        """(N, T, notes) to logits of the next step's notes, (N, T, notes)."""
        logits: Tensor = self.output(self.encoder(roll))
        return logits


class NextFrame(LightningModule):
    """The notes of the next step, each by itself, from all steps so far.

    ``nll`` is the negative log-likelihood of a step in nats, summed over its notes, averaged over
    all steps but the first of each piece; ``nll_pieces`` averages over pieces. Source of the
    task: Boulanger-Lewandowski, Bengio, Vincent, ICML 2012 (arXiv:1206.6392); of the figures
    compared with: Bai, Kolter, Koltun: An Empirical Evaluation of Generic Convolutional and
    Recurrent Networks for Sequence Modeling, 2018 (arXiv:1803.01271), table 1.

    Args:
        notes: How many there are. Filled in from the data.
        hidden: Units of a layer.
        layers: Recurrent layers.
        encoder: ``lstm``, ``gru``, ``rnn`` or ``minlstm``.
        dropout: Behind each recurrent layer.
        forget_bias: Initial bias of the forget gates of an ``lstm``.
        lr: Learning rate.
        optimizer: ``adamw``, ``sgd``, ``nesterov``, or the path of a class.
        schedule: Of the learning rate: ``constant``, ``onecycle``, ``cosine``, or another.
        weight_decay: Of the weights.

    Raises:
        UsageError: an argument is out of its range.
    """

    row_name = "piece"
    monitor = "val/nll"
    monitor_mode = "min"
    plot_captions: ClassVar[dict[str, str]] = {
        "next_frames": "A piece of the test: notes that sound (dots) over the probability of each, "
        "told one step before.",
    }
    conformance_arguments: ClassVar[dict[str, Any]] = {"hidden": 16, "lr": 0.02}

    def __init__(
        self,
        notes: int,
        hidden: int = 200,
        layers: int = 1,
        encoder: Literal["lstm", "gru", "rnn", "minlstm"] = "lstm",
        dropout: float = 0.3,
        forget_bias: float = 1.0,
        lr: float = 0.003,
        optimizer: Literal["adamw", "sgd", "nesterov"] | str = "adamw",
        schedule: Literal["constant", "onecycle", "cosine"] | str = "constant",
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        for name, value in (("notes", notes), ("hidden", hidden), ("layers", layers)):
            at_least(name, value, 1)
        one_of("encoder", encoder, KINDS)
        within("dropout", dropout, 0, 1, below=True)
        above("lr", lr, 0)
        optim.require_optimizer(optimizer)
        optim.require_schedule(schedule)
        self.notes, self.lr, self.weight_decay = notes, lr, weight_decay
        self.optimizer, self.schedule = optimizer, schedule
        net = Encoder(notes, hidden, layers, encoder, bidirectional=False, dropout=dropout)
        self.network = NextFrameNet(net, notes)
        if encoder == "lstm":
            set_forget_bias(net, forget_bias)
        self.train_nll, self.val_nll, self.test_nll = MeanMetric(), MeanMetric(), MeanMetric()
        self.test_pieces = MeanMetric()

    @property
    def example_input(self) -> Tensor:
        return (torch.arange(2 * 6 * self.notes) % 7 == 0).float().reshape(2, 6, self.notes)

    def forward(self, roll: Tensor) -> Tensor:
        """Logits of the next step's notes, (N, T, notes), from rolls (N, T, notes)."""
        logits: Tensor = self.network(roll.to(self.network.output.weight.dtype))
        return logits

    def losses(self, batch: Sample) -> tuple[Tensor, Tensor]:
        """Of each piece (N,), summed over notes and steps, and how many steps were told (N,)."""
        logits = self(batch["roll"][:, :-1])
        each = F.binary_cross_entropy_with_logits(
            logits, batch["roll"][:, 1:].to(logits.dtype), reduction="none"
        ).sum(2)
        counts = batch["lengths"] - 1
        inside = torch.arange(each.shape[1], device=each.device) < counts[:, None]
        return (each * inside).sum(1), counts

    def training_step(self, batch: Sample, batch_idx: int) -> Tensor:
        losses, counts = self.losses(batch)
        self.train_nll.update((losses / counts).detach(), counts)
        return losses.sum() / counts.sum()

    def on_train_epoch_end(self) -> None:
        self._log("train/nll", self.train_nll)

    def validation_step(self, batch: Sample, batch_idx: int) -> None:
        losses, counts = self.losses(batch)
        self.val_nll.update(losses / counts, counts)

    def on_validation_epoch_end(self) -> None:
        self._log("val/nll", self.val_nll)

    def test_step(self, batch: Sample, batch_idx: int) -> None:
        losses, counts = self.losses(batch)
        self.test_nll.update(losses / counts, counts)
        self.test_pieces.update(losses / counts)

    def on_test_epoch_end(self) -> None:
        self._log("test/nll", self.test_nll)
        self._log("test/nll_pieces", self.test_pieces)

    def _log(self, name: str, metric: MeanMetric) -> None:
        self.log(name, metric.compute(), prog_bar=name == "val/nll")
        metric.reset()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        built = optim.optimizer(
            self.optimizer,
            self.named_parameters(),
            self.lr,
            weight_decay=self.weight_decay,
            fused=optim.may_fuse(self),
        )
        if self.schedule == "constant":
            return built
        factor = optim.schedule(self.schedule, optim.total_steps(self.trainer))
        return optim.with_schedule(built, factor)

    def draw_plots(self, batch: Sample) -> dict[str, Figure]:
        """The first piece of a batch."""
        length = int(batch["lengths"][0])
        roll = batch["roll"][:1, :length]
        probs = self(roll[:, :-1]).float().sigmoid()[0]
        return {"next_frames": draw_roll(roll[0, 1:].cpu().numpy(), probs.cpu().numpy())}

    # What `zoo predict` asks for: the beginning of a piece, or nothing

    input_suffixes = (".mid", ".midi", ".csv")

    def read_file(self, path: Path) -> Tensor:
        """A piece, of a MIDI file by quarter notes, or of zeros and ones: float32 (T, notes).

        Raises:
            UsageError: it is neither.
        """
        path = Path(path)
        if path.suffix.lower() == ".csv":
            return read_steps(path, self.notes)
        return torch.from_numpy(read_midi(path).astype(np.float32))

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Probabilities (N, T, notes) of the notes of each next step."""
        logits: Tensor = self(batch if isinstance(batch, Tensor) else batch["roll"])
        return logits.float().sigmoid()

    def predict_sample(self, sample: Tensor) -> Tensor:
        """Probabilities (T, notes) of the notes of each next step."""
        return self.predict_step(sample[None].to(self.device), 0)[0].cpu()

    def describe_prediction(self, output: Tensor) -> dict[str, Any]:
        """The notes that come next, by MIDI's numbers, at probability one half."""
        likely = (output[-1] > 0.5).nonzero()[:, 0].tolist()
        return {"steps": len(output), "next_notes": [21 + note for note in likely]}

    def write_prediction(
        self, name: str, sample: Tensor, output: Tensor, folder: Path, probabilities: bool
    ) -> dict[str, str]:
        """Write ``continuations/NAME.mid``: the piece and 32 more steps, each note drawn."""
        roll = self.continue_piece(sample, 32, torch.Generator().manual_seed(0))
        path = folder / "continuations" / f"{name}.mid"
        write_atomically(path, roll_to_midi(roll.numpy()))
        return {"continuations": path.relative_to(folder).as_posix()}

    def draw_predictions(
        self, names: Sequence[str], samples: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> Figure:
        """The first piece over the probabilities of its notes."""
        return draw_roll(samples[0][1:].numpy(), outputs[0][:-1].numpy(), names[0])

    def continue_piece(
        self, roll: Tensor, steps: int, random: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        """A piece (T, notes) with more steps, each note drawn by its probability: uint8."""
        found = roll.to(self.device)
        for _ in range(steps):
            logits = self(found[None])[0, -1] / temperature
            drawn = torch.rand(self.notes, generator=random).to(self.device) < logits.sigmoid()
            found = torch.cat([found, drawn[None].to(found.dtype)])
        return found.to(torch.uint8).cpu()

    def produce(
        self,
        folder: Path | None,
        *,
        count: int = 2,
        steps: int = 64,
        temperature: float = 1.0,
        start: str = "",
        seed: int = 0,
    ) -> list[dict[str, Any]]:
        """Compose: each step's notes are drawn and become the next input.

        Args:
            folder: Where to write ``piece-1.mid`` and ``piece-1.png``, ...; None: nothing.
            count: Pieces.
            steps: Quarter notes composed.
            temperature: Below 1 takes likely notes more often.
            start: A MIDI file to go on from; a step of silence without.
            seed: Of all draws.
        """
        at_least("count", count, 1)
        at_least("steps", steps, 1)
        above("temperature", temperature, 0)
        if start and not Path(start).is_file():
            raise UsageError(f"there is no file {start}")
        begun = self.read_file(Path(start)) if start else torch.zeros(1, self.notes)
        random = torch.Generator().manual_seed(seed)
        rows = []
        for number in range(1, count + 1):
            roll = self.continue_piece(begun, steps, random, temperature).numpy()
            row: dict[str, Any] = {
                "steps": len(roll),
                "notes": round(float(roll[-steps:].sum(1).mean()), 3),
            }
            if folder is not None:
                write_atomically(folder / f"piece-{number}.mid", roll_to_midi(roll))
                plots.save(draw_roll(roll), folder / f"piece-{number}.png")
                row["file"] = f"piece-{number}.mid"
            rows.append(row)
        return rows

    def write_example_files(self, folder: Path) -> list[Path]:
        """A chord and a scale."""
        chord, scale = np.zeros((2, 8, 88), dtype=np.uint8)
        chord[:, [27, 34, 39, 43]] = 1
        scale[np.arange(8), 39 + np.array([0, 2, 4, 5, 7, 9, 11, 12])] = 1
        paths = [folder / "chord.mid", folder / "scale.mid"]
        for path, roll in zip(paths, (chord, scale), strict=True):
            path.write_bytes(roll_to_midi(roll))
        return paths


def set_forget_bias(encoder: Encoder, value: float) -> None:
    """Set the forget gates' bias of every LSTM: ``bias_ih`` has it, ``bias_hh`` begins at 0 there,
    as the two are added."""
    for layer in encoder.modules():
        if isinstance(layer, nn.LSTM):
            gates = slice(layer.hidden_size, 2 * layer.hidden_size)
            with torch.no_grad():
                bias, other = gate_biases(layer)
                bias[gates], other[gates] = value, 0


def draw_roll(roll: np.ndarray, probs: np.ndarray | None = None, title: str = "") -> Figure:
    """Notes over time, over their probabilities where they are given."""
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    axes = figure.add_subplot(title=title, xlabel="step", ylabel="MIDI note")
    if probs is not None:
        axes.imshow(
            probs.T, aspect="auto", origin="lower", cmap="Blues", vmin=0, vmax=1,
            extent=(-0.5, len(probs) - 0.5, 20.5, 20.5 + probs.shape[1]),
        )  # fmt: skip
    steps, notes = np.nonzero(roll)
    axes.plot(steps, notes + 21, "s" if probs is None else ".", color="0.1", markersize=3)
    if len(notes):
        axes.set_ylim(notes.min() + 16, notes.max() + 26)
    return figure
