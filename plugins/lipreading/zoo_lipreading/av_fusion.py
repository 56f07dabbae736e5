"""Words from images and sound together, in noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassConfusionMatrix

from zoo.plugin import (
    DeviceMean,
    UsageError,
    at_least,
    one_of,
    plots,
    require,
    within,
)
from zoo_lipreading.av_network import FUSIONS, STREAMS, FusionNet, align
from zoo_lipreading.networks import initialize
from zoo_lipreading.noise import CLEAN, add_noise, name_of
from zoo_lipreading.plots import noise_curves
from zoo_lipreading.prediction import WordReading
from zoo_lipreading.reader import Reader, check_units
from zoo_lipreading.saliency import stream_saliency

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class AVFusion(WordReading, Reader):
    """A stream of mouth images and a stream of sound, joined early or late.

    Noise is added to the sound's features (as the data gives them, such as MFCCs), not to its
    waveform. Training draws a signal-to-noise ratio for each clip; testing goes through
    ``snrs`` with noise that is always the same, and measures the fusion and each single stream.

    Source: Wand, Schmidhuber, Vu: Investigations on End-to-End Audiovisual Fusion, ICASSP 2018
    (arXiv:1804.11127) for the early fusion; Wand, Schmidhuber: Fusion Architectures for
    Word-Based Audiovisual Speech Recognition, Interspeech 2020, for the late one and for
    single-modality losses. Layers and sizes are this project's.

    Args:
        audio_size: Features of a vector of sound. Filled in from the data.
        audio_feedforward: Units of the feed-forward layers on the sound beside each frame.
        fusion: ``early``: features are joined before the LSTM; ``late``: every stream has an
            LSTM of its own and the logits are added; ``gated``: added with weights, found from
            the streams' states and the loudness of the features; ``video`` or ``audio``: that
            stream alone.
        auxiliary: Weight of each single stream's own loss. With 0 and early fusion the streams
            do not classify by themselves.
        label_smoothing: Probability taken from the true word and spread over all.
        noise: Probability that a training clip's sound is noisy.
        noise_range: Lowest and highest signal-to-noise ratio in training, decibels.
        snrs: Signal-to-noise ratios that are tested, beside the clean sound, decibels.
        noise_seed: Seed of the noise in testing.
        reading: The arguments of ``Reader``.

    Raises:
        UsageError: an argument is out of its range, or the data has no sound.
    """

    not_exportable = "it takes two streams, and zoo export hands over one tensor"
    task_arguments = ("num_classes", "label_names", "speakers")
    plot_captions = {  # noqa: RUF012  # read, never changed
        "confusion": "The clips of the test by what was said (rows) and what was recognized "
        "(columns).",
        "noise": "Accuracy of the two streams and of both together, and what the decision "
        "rests on, with more and more noise in the sound.",
    }

    def __init__(
        self,
        audio_size: int | None = None,
        audio_feedforward: list[int] = [128],  # noqa: B006 (shown in the help)
        fusion: Literal["early", "late", "gated", "video", "audio"] = "late",
        auxiliary: float = 0.5,
        label_smoothing: float = 0.0,
        noise: float = 0.75,
        noise_range: list[float] = [-20.0, 20.0],  # noqa: B006
        snrs: list[float] = [20.0, 10.0, 0.0, -10.0, -20.0],  # noqa: B006
        noise_seed: int = 20180415,
        **reading: Any,
    ) -> None:
        super().__init__(**reading)
        if audio_size is None:
            raise UsageError(
                "the data has no sound (audio_size is missing): set data.audio to true"
            )
        one_of("fusion", fusion, (*FUSIONS, *STREAMS))
        require(
            len(noise_range) == 2 and noise_range[0] <= noise_range[1],
            f"noise_range is {noise_range}; it takes a lower and an upper ratio",
        )
        at_least("auxiliary", auxiliary, 0)
        at_least("label_smoothing", label_smoothing, 0)
        within("noise", noise, 0, 1)
        require(len(set(snrs)) == len(snrs), f"snrs is {snrs}; each ratio is tested once")
        check_units("audio_feedforward", audio_feedforward)
        values = self.encoder_arguments
        lstm, bidirectional = values.pop("lstm"), values.pop("bidirectional")
        lstm_dropout = values.pop("lstm_dropout")
        self.network = FusionNet(
            values,
            audio_size,
            audio_feedforward,
            lstm,
            self.num_classes,
            fusion,
            auxiliary > 0,
            bidirectional,
            self.sizes["activation"],
            self.sizes["dropout"],
            lstm_dropout,
        )
        if self.sizes["init_std"]:
            initialize(self, self.sizes["init_std"])
            self.network.reset_gate()
        self.audio_size = audio_size
        self.auxiliary = auxiliary if fusion in FUSIONS else 0.0
        self.label_smoothing = label_smoothing
        self.noise, self.noise_range = noise, noise_range
        self.snrs = [CLEAN, *snrs]
        self.noise_seed = noise_seed
        self.train_loss, self.train_accuracy = DeviceMean(), DeviceMean()
        self.val_loss, self.val_accuracy = MeanMetric(), MeanMetric()
        self.val_noisy = MeanMetric()
        self.test_loss = MeanMetric()
        self.streams = [name for name in ("fused", *STREAMS) if name in self.network.head]
        if "fused" not in self.streams:
            self.streams.insert(0, "fused")
        self.test_accuracies = nn.ModuleList(
            nn.ModuleDict({stream: MeanMetric() for stream in self.streams}) for _ in self.snrs
        )
        self.confusion = MulticlassConfusionMatrix(self.num_classes, validate_args=False)
        self._counts: Tensor | None = None
        self._measured: dict[str, list[float]] = {}

    @property
    def audio_features(self) -> int | None:
        """Features of a vector of sound."""
        return self.audio_size

    def forward(
        self,
        video: Tensor,
        lengths: Tensor | None = None,
        audio: Tensor | None = None,
        audio_lengths: Tensor | None = None,
    ) -> Tensor:
        """Classify clips.

        Args:
            video: float (N, T, H, W), normalized, padded after each clip's end.
            lengths: int64 (N,), frames of each clip; None where all are T long.
            audio: float (N, Ta, F), normalized, padded; None for sound that is its mean.
            audio_lengths: int64 (N,), feature vectors of each clip; None where all are Ta long.

        Returns:
            Logits (N, num_classes).
        """
        return self.stream_logits(video, lengths, audio, audio_lengths)["fused"]

    def stream_logits(
        self,
        video: Tensor,
        lengths: Tensor | None = None,
        audio: Tensor | None = None,
        audio_lengths: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Logits of the fusion (``fused``) and of each stream that classifies by itself."""
        count, frames = video.shape[:2]
        dtype = next(self.network.parameters()).dtype
        if audio is None:
            beside = video.new_zeros(count, frames, 2 * self.audio_size)
        else:
            own = _full(lengths, count, frames, video)
            heard = _full(audio_lengths, count, audio.shape[1], audio)
            beside = align(audio, heard, own, frames)
        logits: dict[str, Tensor] = self.network(video.to(dtype), beside.to(dtype), lengths)
        return logits

    # Training

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        label, heard = batch["label"], batch["audio_lengths"]
        low, high = self.noise_range
        snr = low + (high - low) * torch.rand(len(label), device=label.device)
        quiet = torch.rand(len(label), device=label.device) >= self.noise
        audio = add_noise(batch["audio"], heard, snr.masked_fill(quiet, CLEAN))
        video, lengths = self.augmentation(batch["video"], batch["lengths"])
        logits = self.stream_logits(video, lengths, audio, heard)
        loss = self._loss(logits["fused"], label)
        if self.auxiliary:
            for stream in STREAMS:
                loss = loss + self.auxiliary * self._loss(logits[stream], label)
        self.train_loss.update(loss.detach(), len(label))
        self.train_accuracy.update(_correct(logits["fused"], label))
        return loss

    def _loss(self, logits: Tensor, label: Tensor) -> Tensor:
        return F.cross_entropy(logits, label, label_smoothing=self.label_smoothing)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        label = batch["label"]
        logits = self._at(CLEAN, batch, batch_idx)["fused"]
        self.val_loss.update(F.cross_entropy(logits, label), len(label))
        self.val_accuracy.update(_correct(logits, label))
        for snr in self.snrs[1:]:
            logits = self._at(snr, batch, batch_idx)["fused"]
            self.val_noisy.update(_correct(logits, label))

    def test_step(self, batch: Any, batch_idx: int) -> None:
        label = batch["label"]
        for snr, accuracies in zip(self.snrs, self.test_accuracies, strict=True):
            logits = self._at(snr, batch, batch_idx)
            for stream in self.streams:
                mean = cast("MeanMetric", cast("nn.ModuleDict", accuracies)[stream])
                mean.update(_correct(logits[stream], label))
            if snr == CLEAN:
                self.test_loss.update(F.cross_entropy(logits["fused"], label), len(label))
                self.confusion.update(logits["fused"], label)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Probabilities (N, num_classes) of clips, labelled or not."""
        if isinstance(batch, Tensor):
            return self.over_views(batch, lambda clips: self(clips).softmax(dim=1))
        return self._at(CLEAN, batch, batch_idx)["fused"].softmax(dim=1)

    def to_probabilities(self, outputs: Tensor) -> Tensor:
        """Logits as probabilities."""
        return outputs.softmax(dim=1)

    def _noisy(self, snr: float, batch: Any, batch_idx: int) -> Tensor:
        """The batch's sound with the noise of one ratio, the same whenever it is asked for."""
        audio: Tensor = batch["audio"]
        if snr == CLEAN:
            return audio
        number = self.snrs.index(snr)
        generator = torch.Generator().manual_seed(
            (self.noise_seed << 24) + (batch_idx << 8) + number
        )
        ratios = torch.full((len(audio),), snr, device=audio.device)
        return add_noise(audio, batch["audio_lengths"], ratios, generator)

    def _at(self, snr: float, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """Logits of every stream at a ratio, over mirror images too where ``use_tta`` says so."""
        rest = batch["lengths"], self._noisy(snr, batch, batch_idx), batch["audio_lengths"]
        logits = self.stream_logits(batch["video"], *rest)
        if not self._mirrors:
            return logits
        mirrored = self.stream_logits(batch["video"].flip(-1), *rest)
        return {
            name: torch.logaddexp(own.log_softmax(dim=1), mirrored[name].log_softmax(dim=1))
            for name, own in logits.items()
        }

    def on_train_epoch_end(self) -> None:
        self.log_means("train", loss=self.train_loss, accuracy=self.train_accuracy)

    def on_validation_epoch_end(self) -> None:
        self.log_means("val", loss=self.val_loss, accuracy=self.val_accuracy)
        if len(self.snrs) > 1:
            self.log_means("val", noisy_accuracy=self.val_noisy)

    def on_test_epoch_end(self) -> None:
        self.log_means("test", loss=self.test_loss)
        self._measured = {stream: [] for stream in self.streams}
        for snr, accuracies in zip(self.snrs, self.test_accuracies, strict=True):
            for stream in self.streams:
                mean = cast("MeanMetric", cast("nn.ModuleDict", accuracies)[stream])
                value = mean.compute()
                mean.reset()
                self._measured[stream].append(float(value))
                name = "accuracy" if stream == "fused" else f"{stream}_accuracy"
                if snr == CLEAN:
                    self.log(f"test/{name}", value, prog_bar=stream == "fused", sync_dist=True)
                elif stream != "video":  # noise in the sound does not reach it
                    self.log(f"test/{name}/{name_of(snr)}", value, sync_dist=True)
        self._counts = self.confusion.compute().cpu()
        self.confusion.reset()

    # Plots

    def saliency(self, batch: Any) -> dict[str, list[float]]:
        """Mean norm of the gradient of the true word's log-probability, by stream, at each of
        the tested ratios, the clean sound first."""
        result: dict[str, list[float]] = {stream: [] for stream in STREAMS}
        for snr in self.snrs:
            norms = stream_saliency(
                lambda video, audio: self(video, batch["lengths"], audio, batch["audio_lengths"]),
                batch["video"],
                self._noisy(snr, batch, 0),
                batch["label"],
            )
            for stream, norm in zip(STREAMS, norms, strict=True):
                result[stream].append(float(norm.mean()))
        return result

    @torch.no_grad()
    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """Accuracy and saliency of the streams against noise, and the confusion matrix.

        Args:
            batch: As of the test loader; saliency is of this batch, accuracy of the whole test
                where there was one.
        """
        label = batch["label"]
        measured, counts = self._measured, self._counts
        if not measured or counts is None:
            logits = [self._at(snr, batch, 0) for snr in self.snrs]
            measured = {
                stream: [float(_correct(each[stream], label).mean()) for each in logits]
                for stream in self.streams
            }
            confusion = MulticlassConfusionMatrix(self.num_classes).to(label.device)
            counts = confusion(logits[0]["fused"], label).cpu()
        names = [name_of(snr) for snr in self.snrs]
        return {
            "noise": noise_curves(names, measured, self.saliency(batch)),
            "confusion": plots.confusion_matrix(counts.numpy(), self.label_names),
        }


def _correct(logits: Tensor, label: Tensor) -> Tensor:
    return (logits.detach().argmax(dim=1) == label).float()


def _full(lengths: Tensor | None, count: int, frames: int, like: Tensor) -> Tensor:
    if lengths is not None:
        return lengths
    return torch.full((count,), frames, device=like.device)
