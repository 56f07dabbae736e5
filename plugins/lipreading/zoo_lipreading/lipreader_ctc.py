"""Sentences from clips of a mouth, without knowing where each word begins: CTC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics.text import CharErrorRate, WordErrorRate

from zoo.plugin import DeviceMean, UsageError, at_least, one_of
from zoo_lipreading import ctc
from zoo_lipreading.grammar import Grammar
from zoo_lipreading.layers.masking import placed_like, valid_frames
from zoo_lipreading.networks import Encoder, initialize
from zoo_lipreading.plots import clip_sheet, emission_map
from zoo_lipreading.prediction import SentenceReading
from zoo_lipreading.reader import Reader

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class SequenceNet(nn.Module):
    """Symbols at every frame of a clip.

    Args:
        encoder: What reads the clips.
        num_classes: Number of symbols, CTC's blank included.
    """

    def __init__(self, encoder: Encoder, num_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.features, num_classes)

    def forward(self, video: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, T, H, W) to logits (N, T, num_classes)."""
        logits: Tensor = self.head(self.encoder(video, lengths).sequence)
        return logits


class LipreaderCTC(SentenceReading, Reader):
    """Feed-forward layers and LSTMs over mouth images, trained by CTC on whole sentences.

    The data decide whether its symbols are characters or words; symbol 0 is CTC's blank.

    Source: Graves, Fernandez, Gomez, Schmidhuber: Connectionist Temporal Classification, ICML
    2006; for lipreading Assael et al.: LipNet, 2016 (arXiv:1611.01599), whose layers differ.

    Args:
        grammar: Words possible at each place of a sentence. Filled in from the data.
        decoder: How validation, test and prediction read the symbols: ``greedy``, ``beam``, or
            ``grammar``, a beam search over the grammar's sentences.
        beam_size: Beginnings that a beam search keeps.
        reading: The arguments of ``Reader``.

    Raises:
        UsageError: an argument is out of its range, or there is no grammar to decode by.
    """

    task_arguments = ("num_classes", "label_names", "grammar", "speakers")
    plot_captions = {  # noqa: RUF012  # read, never changed
        "clips": "Mouths of a batch of the test, three frames each, under what was said -> "
        "what was read.",
        "emissions": "The probability of each symbol over a clip: CTC reads from left to right "
        "what is dark, and leaves out the blank.",
    }

    def __init__(
        self,
        grammar: list[list[str]] | None = None,
        decoder: Literal["greedy", "beam", "grammar"] = "greedy",
        beam_size: int = 16,
        **reading: Any,
    ) -> None:
        super().__init__(**reading)
        one_of("decoder", decoder, ("greedy", "beam", "grammar"))
        if decoder == "grammar" and not grammar:
            raise UsageError(
                "decoder is grammar, and neither the recipe nor the data have one; set "
                "model.grammar to the words possible at each place"
            )
        at_least("beam_size", beam_size, 1)
        self.decoder = decoder
        self.beam_size = beam_size
        self.grammar: Grammar | None = None
        if decoder == "grammar" and grammar:
            self.grammar = Grammar(grammar, self.label_names)
        self.network = SequenceNet(Encoder(**self.encoder_arguments), self.num_classes)
        if self.sizes["init_std"]:
            initialize(self, self.sizes["init_std"])
        self.train_loss = DeviceMean()
        self.val_loss, self.test_loss = MeanMetric(), MeanMetric()
        self.val_cer, self.test_cer = CharErrorRate(), CharErrorRate()
        self.val_wer, self.test_wer = WordErrorRate(), WordErrorRate()

    def forward(self, video: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Symbols of every frame.

        Args:
            video: float (N, T, H, W), normalized, padded after each clip's end.
            lengths: int64 (N,), frames of each clip; None where all are T long.

        Returns:
            Logits (N, T, num_classes).
        """
        logits: Tensor = self.network(video.to(next(self.network.parameters()).dtype), lengths)
        return logits

    def loss(self, logits: Tensor, lengths: Tensor, batch: Any) -> Tensor:
        """CTC's negative log-likelihood, a symbol, mean over clips."""
        losses = F.ctc_loss(
            logits.float().log_softmax(dim=2).transpose(0, 1),
            batch["targets"],
            lengths,
            batch["target_lengths"],
            blank=ctc.BLANK,
            reduction="none",
            zero_infinity=True,  # a clip that tempo has made too short for its sentence
        )
        symbols = placed_like(batch["target_lengths"], losses).clamp(min=1)
        return (losses / symbols).mean()

    # Text

    @property
    def separator(self) -> str:
        """What stands between two symbols: nothing between characters, a space between words."""
        return "" if " " in self.label_names else " "

    def text(self, symbols: list[int]) -> str:
        """Symbols as text."""
        return self.separator.join(self.label_names[symbol] for symbol in symbols)

    def decode_symbols(self, log_probabilities: Tensor) -> list[int]:
        """Symbols of one clip, without blanks, from (T, num_classes)."""
        if self.decoder == "greedy":
            return ctc.greedy(log_probabilities)
        return ctc.beam_search(log_probabilities, self.beam_size, self.grammar)

    def read(self, logits: Tensor, lengths: Tensor) -> list[str]:
        """What each clip of a batch says, from logits (N, T, num_classes)."""
        log_probs = logits.float().log_softmax(dim=2)
        pairs = zip(log_probs, lengths.tolist(), strict=True)
        return [self.text(self.decode_symbols(clip[:length])) for clip, length in pairs]

    def targets(self, batch: Any) -> list[str]:
        """What each clip of a labelled batch really says."""
        pairs = zip(batch["targets"].tolist(), batch["target_lengths"].tolist(), strict=True)
        return [self.text(symbols[:length]) for symbols, length in pairs]

    # Training

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        video, lengths = self.augmentation(batch["video"], batch["lengths"])
        loss = self.loss(self(video, lengths), lengths, batch)
        self.train_loss.update(loss.detach(), len(lengths))
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        logits = self(batch["video"], batch["lengths"])
        self._measure(logits, batch, self.val_loss, self.val_cer, self.val_wer)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        if self._mirrors:
            self.measure_probabilities(batch, self.predict_step(batch, batch_idx))
            return
        logits = self(batch["video"], batch["lengths"])
        self._measure(logits, batch, self.test_loss, self.test_cer, self.test_wer)

    def measure_probabilities(self, batch: Any, probabilities: Tensor) -> None:
        """Add a batch of the test to its metrics, by others' probabilities (N, T, num_classes)."""
        logits = _log(probabilities)
        self._measure(logits, batch, self.test_loss, self.test_cer, self.test_wer)

    def describe_batch(self, batch: Any, probabilities: Tensor) -> list[dict[str, Any]]:
        """What each clip says beside what was read."""
        read = self.read(_log(probabilities), batch["lengths"])
        pairs = zip(self.targets(batch), read, strict=True)
        return [{"truth": truth, "text": text} for truth, text in pairs]

    def to_probabilities(self, outputs: Tensor) -> Tensor:
        """Logits (N, T, num_classes) as probabilities."""
        return outputs.softmax(dim=2)

    def _measure(
        self, logits: Tensor, batch: Any, loss: MeanMetric, cer: CharErrorRate, wer: WordErrorRate
    ) -> None:
        loss.update(self.loss(logits, batch["lengths"], batch), len(logits))
        read, targets = self.read(logits, batch["lengths"]), self.targets(batch)
        cer.update(read, targets)
        wer.update(read, targets)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Probabilities (N, T, num_classes) of clips, labelled or not."""
        video, lengths = (
            (batch, None)
            if isinstance(batch, Tensor)
            else (
                batch["video"],
                batch["lengths"],
            )
        )
        return self.over_views(video, lambda clips: self(clips, lengths).softmax(dim=2))

    def on_train_epoch_end(self) -> None:
        self.log_means("train", loss=self.train_loss)

    def on_validation_epoch_end(self) -> None:
        self._log("val", self.val_loss, self.val_cer, self.val_wer)

    def on_test_epoch_end(self) -> None:
        self._log("test", self.test_loss, self.test_cer, self.test_wer)

    def _log(self, stage: str, loss: MeanMetric, cer: CharErrorRate, wer: WordErrorRate) -> None:
        self.log_means(stage, loss=loss)
        for name, rate in (("cer", cer), ("wer", wer)):
            self.log(f"{stage}/{name}", rate.compute(), prog_bar=name == "wer", sync_dist=True)
            rate.reset()

    # Plots

    @torch.no_grad()
    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """The first clip's symbols over time, and the batch's mouths under what was read.

        Args:
            batch: As of the test loader.
        """
        logits = self(batch["video"], batch["lengths"])
        lengths = batch["lengths"]
        titles = [
            f"{truth} -> {read}"
            for truth, read in zip(self.targets(batch), self.read(logits, lengths), strict=True)
        ]
        own = valid_frames(lengths, logits.shape[1])[0]
        probs = logits[0][own].float().softmax(dim=1)
        return {
            "emissions": emission_map(probs, self.label_names, self.frame_rate, titles[0]),
            "clips": clip_sheet(batch["video"], lengths, titles, "true -> read"),
        }


def _log(probabilities: Tensor) -> Tensor:
    return probabilities.float().clamp_min(1e-12).log()
