"""A recognizer of unsegmented sequences: recurrent encoder, CTC, decoders, alignment."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from matplotlib.figure import Figure
from torch import Tensor, nn
from torchmetrics import MeanMetric

from zoo.plugin import UsageError, above, at_least, one_of, optim, within
from zoo_sequence import ctc
from zoo_sequence.edit_distance import ErrorRate
from zoo_sequence.encoders import KINDS, Encoder
from zoo_sequence.front_ends import front_end_of
from zoo_sequence.transcription import FileReading, emission_map

if TYPE_CHECKING:
    from zoo_sequence.data.recordings import Sample

DECODERS = ("best-path", "prefix", "beam")


class RecognizerNet(nn.Module):
    """An encoder and a linear layer; usable without Lightning.

    Args:
        encoder: Of frames.
        num_classes: Symbols, the blank included.
    """

    def __init__(self, encoder: Encoder, num_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.width, num_classes)

    def forward(self, frames: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, T, features) to logits (N, T, num_classes)."""
        logits: Tensor = self.head(self.encoder(frames, lengths))
        return logits


class CTCRecognizer(FileReading, LightningModule):
    """What is said in a recording, or written in a line, by a recurrent net trained without knowing
    when, or where.

    Source: Graves, Fernandez, Gomez, Schmidhuber: Connectionist Temporal Classification, ICML
    2006; ``framewise`` is what the paper compares with.

    Args:
        num_classes: Symbols, CTC's blank (0) included. Filled in from the data.
        label_names: The symbols. Filled in from the data.
        front_end: How frames are made of sound or an image. Filled in from the data.
        mean: Of each feature on the training part. Filled in from the data.
        std: Deviation of each feature on the training part. Filled in from the data.
        hidden: Units of a layer and direction.
        layers: Recurrent layers.
        encoder: ``lstm``, ``gru``, ``rnn`` or ``minlstm``.
        bidirectional: False reads from left to right alone, as a stream comes.
        normalization: ``train``: by ``mean`` and ``std``; ``utterance``: by those of each recording
            itself, which takes much of a voice and a microphone away.
        noise: Deviation of the Gaussian noise on normalized inputs in training.
        time_masks: Stretches of up to a tenth of a recording that training blanks out.
        feature_masks: Cepstra, or rows of an image, that training blanks out.
        dropout: Behind each recurrent layer.
        loss: ``ctc``; ``framewise``: each frame has a symbol, the recording divided evenly.
        decoder: ``best-path``, ``prefix`` (search) or ``beam``, of tests and predictions;
            validations take the best path.
        beam_size: Beginnings that a beam search keeps.
        lexicon: Words that a beam search may find; with a space among the symbols, between spaces.
        lr: Learning rate.
        optimizer: ``adamw``, ``sgd``, ``nesterov``, or the path of a class.
        schedule: Of the learning rate: ``constant``, ``onecycle``, ``cosine``, or another.
        weight_decay: Of the weights.

    Raises:
        UsageError: an argument is out of its range, or a word of the lexicon cannot be spelled.
    """

    plot_captions: ClassVar[dict[str, str]] = {
        "emissions": "The probability of each symbol over the worst recordings of a batch of the "
        "test, under what is said -> what was read: mostly the blank, and spikes.",
    }
    conformance_arguments: ClassVar[dict[str, Any]] = {"hidden": 16, "lr": 0.02}
    monitor = "val/label_error"
    mean: Tensor
    std: Tensor
    monitor_mode = "min"

    def __init__(
        self,
        num_classes: int,
        label_names: list[str],
        front_end: dict[str, Any],
        mean: list[float] | None = None,
        std: list[float] | None = None,
        hidden: int = 100,
        layers: int = 1,
        encoder: Literal["lstm", "gru", "rnn", "minlstm"] = "lstm",
        bidirectional: bool = True,
        normalization: Literal["train", "utterance"] = "train",
        noise: float = 0.3,
        time_masks: int = 0,
        feature_masks: int = 0,
        dropout: float = 0.0,
        loss: Literal["ctc", "framewise"] = "ctc",
        decoder: Literal["best-path", "prefix", "beam"] = "best-path",
        beam_size: int = 16,
        lexicon: list[str] | None = None,
        lr: float = 0.004,
        optimizer: Literal["adamw", "sgd", "nesterov"] | str = "adamw",
        schedule: Literal["constant", "onecycle", "cosine"] | str = "constant",
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        at_least("num_classes", num_classes, 2)
        for name, value in (("hidden", hidden), ("layers", layers), ("beam_size", beam_size)):
            at_least(name, value, 1)
        for name, value in (("time_masks", time_masks), ("feature_masks", feature_masks)):
            at_least(name, value, 0)
        at_least("noise", noise, 0)
        above("lr", lr, 0)
        within("dropout", dropout, 0, 1, below=True)
        one_of("encoder", encoder, KINDS)
        one_of("normalization", normalization, ("train", "utterance"))
        one_of("loss", loss, ("ctc", "framewise"))
        one_of("decoder", decoder, DECODERS)
        optim.require_optimizer(optimizer)
        optim.require_schedule(schedule)
        self.label_names = list(label_names)
        self.front_end = front_end_of(front_end)
        self.normalization, self.noise, self.loss_name = normalization, noise, loss
        self.time_masks, self.feature_masks = time_masks, feature_masks
        self.decoder, self.beam_size = decoder, beam_size
        self.lexicon = self._lexicon(lexicon) if lexicon else None
        self.lr, self.weight_decay = lr, weight_decay
        self.optimizer, self.schedule = optimizer, schedule
        features = self.front_end.features
        self.register_buffer("mean", torch.tensor(mean or [0.0] * features), persistent=False)
        self.register_buffer("std", torch.tensor(std or [1.0] * features), persistent=False)
        self.network = RecognizerNet(
            Encoder(features, hidden, layers, encoder, bidirectional, dropout), num_classes
        )
        self.train_loss, self.val_loss, self.test_loss = MeanMetric(), MeanMetric(), MeanMetric()
        for stage in ("val", "test"):
            for name in ("label_error", "character_error"):
                setattr(self, f"{stage}_{name}", ErrorRate())
            setattr(self, f"{stage}_string_error", MeanMetric())
        self.test_best_path_label_error = ErrorRate()

    task_arguments = ("num_classes", "label_names", "lexicon")

    @property
    def head(self) -> tuple[str, ...]:
        """The layer of the symbols."""
        return ("network.head",)

    @property
    def example_input(self) -> Tensor:
        return torch.linspace(-1, 1, 2 * 12 * len(self.mean)).reshape(2, 12, len(self.mean))

    @property
    def preprocessing(self) -> dict[str, Any]:
        """What ``forward`` takes."""
        return {
            "input": self.front_end.input_described,
            "front_end": self.front_end.described,
            "normalization": self.normalization,
        }

    def _lexicon(self, words: list[str]) -> ctc.Lexicon:
        numbers = {name: index for index, name in enumerate(self.label_names) if index}
        spelled = []
        for word in words:
            tokens = word.split() if any(len(name) > 1 for name in numbers) else list(word)
            if unknown := sorted(set(tokens) - numbers.keys()):
                raise UsageError(
                    f"the lexicon has {word!r}, and {unknown} are not among the symbols "
                    f"{list(numbers)}"
                )
            spelled.append([numbers[token] for token in tokens])
        return ctc.Lexicon(spelled, numbers.get(" "))

    def forward(self, frames: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Symbols of every frame.

        Args:
            frames: float (N, T, features), as the front end gives them, padded at the end.
            lengths: int64 (N,); None where all are T long.

        Returns:
            Logits (N, T, num_classes).
        """
        logits: Tensor = self.network(self.normalize(frames, lengths), lengths)
        return logits

    def normalize(self, frames: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Frames with mean 0 and deviation 1, of the training part or of each recording."""
        frames = frames.to(self.network.head.weight.dtype)
        if self.normalization == "train":
            return (frames - self.mean) / self.std
        if lengths is None:
            center, count = frames.mean(1, keepdim=True), frames.shape[1]
            spread = (frames - center).square().sum(1, keepdim=True) / count
            return (frames - center) / (spread + 1e-4).sqrt()
        inside = _inside(lengths, frames.shape[1], frames.device)[..., None]
        counts = lengths.to(frames.device)[:, None, None]
        center = (frames * inside).sum(1, keepdim=True) / counts
        spread = ((frames - center) * inside).square().sum(1, keepdim=True) / counts
        return (frames - center) / (spread + 1e-4).sqrt() * inside

    def augment(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Noise and masks on normalized frames."""
        frames = frames + self.noise * torch.randn_like(frames)
        bands = self.front_end.bands
        for _ in range(self.feature_masks):
            hidden = torch.randint(bands, (len(frames),), device=frames.device)
            columns = torch.arange(frames.shape[2], device=frames.device) % bands
            frames = frames.masked_fill((columns == hidden[:, None])[:, None], 0)
        steps = torch.arange(frames.shape[1], device=frames.device)
        ends = lengths.to(frames.device)
        for _ in range(self.time_masks):
            width = torch.rand(len(frames), device=frames.device) * ends / 10
            start = torch.rand(len(frames), device=frames.device) * (ends - width)
            masked = (steps >= start[:, None]) & (steps < (start + width)[:, None])
            frames = frames.masked_fill(masked[..., None], 0)
        return frames

    # Loss and decoding

    def losses(self, logits: Tensor, batch: Sample) -> Tensor:
        """Of each recording, per symbol; of ``framewise`` per frame.

        A recording with too few frames for its string, which tempo may have made so short, counts
        as 0: it has no path at all.
        """
        if self.loss_name == "framewise":
            targets = evenly_divided(batch, logits.shape[1])
            each = F.cross_entropy(logits.transpose(1, 2).float(), targets, reduction="none")
            return each.sum(1) / batch["lengths"]
        loss = F.ctc_loss(
            logits.float().log_softmax(2).transpose(0, 1),
            batch["symbols"],
            batch["lengths"],
            batch["symbol_counts"],
            blank=ctc.BLANK,
            reduction="none",
            zero_infinity=True,
        )
        return loss / batch["symbol_counts"].clamp_min(1)

    def decode(self, log_probs: Tensor) -> list[int]:
        """Symbols of one recording from (T, num_classes), by the decoder chosen."""
        if self.decoder == "prefix":
            return ctc.prefix_search(log_probs)
        if self.decoder == "beam":
            return ctc.beam_search(log_probs, self.beam_size, self.lexicon)
        return self.decode_best_path(log_probs)

    def decode_best_path(self, log_probs: Tensor) -> list[int]:
        """By the likeliest symbols; of a net trained frame by frame there is no blank."""
        if self.loss_name == "framewise":
            return [each for each, _ in groupby((log_probs[:, 1:].argmax(1) + 1).tolist())]
        return ctc.best_path(log_probs)

    def text(self, symbols: Sequence[int]) -> str:
        """Symbols as text: characters joined, words with spaces between."""
        names = [self.label_names[symbol] for symbol in symbols]
        return ("" if all(len(name) <= 1 for name in self.label_names) else " ").join(names)

    # Training

    def training_step(self, batch: Sample, batch_idx: int) -> Tensor:
        lengths = batch["lengths"]
        frames = self.augment(self.normalize(batch["frames"], lengths), lengths)
        losses = self.losses(self.network(frames, lengths), batch)
        self.train_loss.update(losses.detach())
        return losses.mean()

    def on_train_epoch_end(self) -> None:
        self.log("train/loss", self.train_loss.compute())
        self.train_loss.reset()

    def validation_step(self, batch: Sample, batch_idx: int) -> None:
        self._measure("val", batch)

    def test_step(self, batch: Sample, batch_idx: int) -> None:
        self._measure("test", batch)

    def _measure(self, stage: str, batch: Sample) -> None:
        logits = self(batch["frames"], batch["lengths"])
        getattr(self, f"{stage}_loss").update(self.losses(logits, batch))
        truth, log_probs = strings(batch), self.log_probs(logits, batch["lengths"])
        # A search in what an untrained net says takes long, and says no more.
        decode = self.decode if stage == "test" else self.decode_best_path
        found = [decode(each) for each in log_probs]
        getattr(self, f"{stage}_label_error").update(found, truth)
        texts = [list(map(self.text, each)) for each in (found, truth)]
        getattr(self, f"{stage}_character_error").update(*texts)
        wrong = [float(a != b) for a, b in zip(found, truth, strict=True)]
        getattr(self, f"{stage}_string_error").update(torch.tensor(wrong, device=self.device))
        if self.searches(stage):
            plain = [self.decode_best_path(each) for each in log_probs]
            self.test_best_path_label_error.update(plain, truth)

    def searches(self, stage: str) -> bool:
        """Whether strings are searched for: in the test, unless by the best path."""
        return stage == "test" and self.decoder != "best-path"

    def log_probs(self, logits: Tensor, lengths: Tensor) -> list[Tensor]:
        """(T, num_classes) of each recording."""
        logs = logits.float().log_softmax(2)
        return [each[:length] for each, length in zip(logs, lengths.tolist(), strict=True)]

    def on_validation_epoch_end(self) -> None:
        self._log("val")

    def on_test_epoch_end(self) -> None:
        self._log("test")

    def _log(self, stage: str) -> None:
        names = ["loss", "label_error", "character_error", "string_error"]
        if self.searches(stage):
            names.append("best_path_label_error")
        for name in names:
            metric = getattr(self, f"{stage}_{name}")
            self.log(f"{stage}/{name}", metric.compute(), prog_bar=name == "label_error")
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

    # Plots

    def draw_plots(self, batch: Sample) -> dict[str, Figure]:
        """The emissions of the recordings that are read worst."""
        from zoo_sequence.edit_distance import edit_distance

        logits = self(batch["frames"], batch["lengths"])
        logs, truth = self.log_probs(logits, batch["lengths"]), strings(batch)
        found = [self.decode(each) for each in logs]
        errors = [edit_distance(a, b) for a, b in zip(found, truth, strict=True)]
        worst = sorted(range(len(logs)), key=lambda index: -errors[index])[:4]
        titles = [f"{self.text(truth[i])} -> {self.text(found[i])}" for i in worst]
        probs = [logs[i].exp().cpu().numpy() for i in worst]
        steps = [1.0] * len(probs)
        return {"emissions": emission_map(probs, self.label_names, steps, "frame", titles)}


def strings(batch: Sample) -> list[list[int]]:
    """What is said in each recording of a batch."""
    pairs = zip(batch["symbols"].tolist(), batch["symbol_counts"].tolist(), strict=True)
    return [symbols[:count] for symbols, count in pairs]


def evenly_divided(batch: Sample, steps: int) -> Tensor:
    """The symbol of every frame (N, steps) where each has the same share of the recording; -100,
    which the cross-entropy passes over, in the padding."""
    places = torch.arange(steps, device=batch["symbols"].device)
    index = places * batch["symbol_counts"][:, None] // batch["lengths"][:, None]
    index = index.clamp(max=batch["symbols"].shape[1] - 1)
    inside = places < batch["lengths"][:, None]
    return torch.where(inside, batch["symbols"].gather(1, index), -100)


def _inside(lengths: Tensor, steps: int, device: torch.device) -> Tensor:
    return torch.arange(steps, device=device) < lengths.to(device)[:, None]
