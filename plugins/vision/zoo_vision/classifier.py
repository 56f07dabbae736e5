"""What all image classifiers share: preprocessing, deformation, training, measuring, metrics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassConfusionMatrix

from zoo.plugin import (
    UsageError,
    above,
    at_least,
    one_of,
    optim,
    plots,
    rank_zero_print,
    rename_keys,
    require,
)
from zoo_vision import schedules
from zoo_vision.augmentation import Deformation
from zoo_vision.data.decoding import read_noted
from zoo_vision.data.folder_ranges import CallRanges
from zoo_vision.data.opening import suffixes
from zoo_vision.data.pixel_range import STATED
from zoo_vision.layers import resize

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORST_KEPT = 32
# Weights of red, green and blue in luma (ITU-R BT.601).
_LUMA = (0.299, 0.587, 0.114)


class EpochMetrics(Metric):
    """Sums over an epoch: loss, correct predictions, samples. Added up over processes.

    ``MulticlassAccuracy`` and ``MeanMetric`` give the same numbers, but an update of theirs takes
    several times as long, which small nets feel in every step, and they take no ``shape``.

    Args:
        shape: Of the losses and counts of correct predictions: () or (columns,).
    """

    full_state_update = False
    loss: Tensor
    correct: Tensor
    count: Tensor

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.add_state("loss", torch.zeros(shape), dist_reduce_fx="sum")
        self.add_state("correct", torch.zeros(shape, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, mean_loss: Tensor, correct: Tensor, count: int) -> None:
        self.loss += mean_loss * count
        self.correct += correct
        self.count += count

    def compute(self) -> dict[str, Tensor]:
        count = self.count.clamp(min=1)
        accuracy = self.correct / count
        return {"loss": self.loss / count, "accuracy": accuracy, "error": 1 - accuracy}


class Classifier(L.LightningModule):
    """Base of all image classifiers.

    Takes images as they are, uint8 of any size, and does the rest itself: conversion, resizing,
    normalization, and deformation while training. A subclass sets ``self.network``, a module
    from normalized (N, in_channels, H, W) to logits (N, num_classes), and ``self.input_size``,
    the (H, W) it takes.

    Args:
        num_classes: Number of classes. Filled in from the data; 10 without.
        in_channels: 1 (gray) or 3 (RGB). Filled in from the data; 1 without.
        image_size: Height and width of the data's images. Filled in from the data; [28, 28]
            without.
        mean: Mean of every channel, of pixels in [0, 1]. Filled in from the data; 0.5 without.
        std: Standard deviation of every channel, likewise.
        label_names: The classes' names. Filled in from the data.
        pixel_ranges: The values that are black and white in image files of more than 8 bits, by
            the kind of value. Filled in from the data.
        fit: How images come to the network's input size: ``resize`` (bilinear) or ``pad``
            (centered in a frame of zeros where they are smaller).
        optimizer: ``adamw``, ``sgd``, ``nesterov``, or a class such as ``torch.optim.RAdam``.
        lr: Largest learning rate.
        lr_backbone: Largest learning rate of everything but the head; ``lr`` without.
        momentum: Momentum of ``sgd`` and ``nesterov``.
        weight_decay: Weight decay of the weights, not of biases.
        schedule: Learning rate over training: ``constant``, ``onecycle`` (linear up, half a
            cosine down), ``cosine``, ``exponential`` (the papers': lr_decay^epoch), or a class
            such as ``torch.optim.lr_scheduler.PolynomialLR``.
        warmup: Part of the training in which ``onecycle`` goes up.
        lr_decay: Factor an epoch of ``exponential``.
        lr_floor: Smallest learning rate of ``exponential``.
        label_smoothing: Probability taken from the true class and spread over all.
        rotation: Largest random rotation, degrees, either way.
        scaling: Largest random change of height and of width, as a fraction.
        translation: Largest random shift, as a fraction of height and of width.
        elastic_sigma: Smoothing of the random elastic displacement, pixels.
        elastic_alpha: Strength of the random elastic displacement, pixels; 0 is off.
        border: What deformation finds beyond the image: ``zeros``, ``border`` or ``reflection``.

    Raises:
        UsageError: an argument is out of its range, or two do not fit together.
    """

    task_arguments = ("num_classes", "label_names", "pixel_ranges")
    monitor = "val/accuracy"
    monitor_mode = "max"
    network: nn.Module
    input_size: tuple[int, int]
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        num_classes: int | None = None,
        in_channels: int | None = None,
        image_size: list[int] | None = None,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        label_names: list[str] | None = None,
        pixel_ranges: dict[str, list[float]] | None = None,
        fit: Literal["resize", "pad"] = "resize",
        optimizer: Literal["adamw", "sgd", "nesterov"] | str = "adamw",
        lr: float = 0.003,
        lr_backbone: float | None = None,
        momentum: float = 0.9,
        weight_decay: float = 0.01,
        schedule: Literal["constant", "onecycle", "cosine", "exponential"] | str = "onecycle",
        warmup: float = 0.2,
        lr_decay: float = 0.993,
        lr_floor: float = 3e-5,
        label_smoothing: float = 0.0,
        rotation: float = 0.0,
        scaling: float = 0.0,
        translation: float = 0.0,
        elastic_sigma: float = 6.0,
        elastic_alpha: float = 0.0,
        border: Literal["zeros", "border", "reflection"] = "border",
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        num_classes = 10 if num_classes is None else num_classes
        in_channels = 1 if in_channels is None else in_channels
        image_size = [28, 28] if image_size is None else image_size
        self.hparams.update(
            num_classes=num_classes, in_channels=in_channels, image_size=list(image_size)
        )
        at_least("num_classes", num_classes, 2)
        one_of("in_channels", in_channels, (1, 3))
        one_of("fit", fit, ("resize", "pad"))
        optim.require_optimizer(optimizer)
        optim.require_schedule(schedule, schedules.SCHEDULES)
        above("lr", lr, 0)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.image_size = height_and_width("image_size", image_size)
        self.label_names = label_names or [str(index) for index in range(num_classes)]
        require(
            len(self.label_names) == num_classes,
            f"label_names has {len(self.label_names)} names for {num_classes} classes",
        )
        for name, values in (("mean", mean), ("std", std)):
            channels = _channels(name, values, in_channels)
            # Rebuilt from the arguments, so kept out of the weights.
            self.register_buffer(name, channels.view(1, -1, 1, 1), persistent=False)
        self.pixel_ranges = pixel_ranges or {}
        self._call_ranges = CallRanges(self.pixel_ranges, [])
        self.fit = fit
        self.label_smoothing = label_smoothing
        self.deformation = Deformation(
            rotation, scaling, translation, elastic_sigma, elastic_alpha, border
        )
        # Checkpoints within an epoch know the metrics by these names.
        self.train_tally, self.val_tally = EpochMetrics(), EpochMetrics()
        self.test_tally = EpochMetrics()
        self.confusion = MulticlassConfusionMatrix(num_classes, validate_args=False)
        self._counts: Tensor | None = None
        self._worst: list[_Mistake] = []

    # What a model is

    @classmethod
    def upgrade_arguments(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        """Arguments that zoo 0.1.0 saved, under today's names."""
        return rename_keys(arguments, {"initialisation": "initialization"})

    @property
    def head(self) -> tuple[str, ...]:
        """The submodules a new task replaces."""
        return ("network.head",)

    @property
    def example_input(self) -> Tensor:
        """Two uint8 images of the data's size: ramps, so that no two pixels in a row agree."""
        shape = (2, self.in_channels, *self.image_size)
        count = shape[0] * shape[1] * shape[2] * shape[3]
        return (torch.arange(count) * 7 % 256).to(torch.uint8).view(shape)

    def prepare(self, images: Tensor) -> Tensor:
        """Bring images to the network's size and channels: float (N, C, H, W) in [0, 1].

        Args:
            images: uint8, or float in [0, 1]; (N, 1 or 3, any height, any width).
        """
        images = images.float().div_(255) if images.dtype == torch.uint8 else images.float()
        if images.shape[1] != self.in_channels:
            images = _with_channels(images, self.in_channels)
        images = resize(images, self.image_size)
        return resize(images, self.input_size, self.fit)

    def normalize(self, images: Tensor) -> Tensor:
        # Under "bf16-true" the constants and the weights are bfloat16 and the images are not.
        return ((images - self.mean) / self.std).to(self.mean.dtype)

    def forward(self, images: Tensor) -> Tensor:
        """Classify.

        Args:
            images: uint8, or float in [0, 1]; (N, 1 or 3, any height, any width).

        Returns:
            Logits (N, num_classes).
        """
        logits: Tensor = self.network(self.normalize(self.prepare(images)))
        return logits

    @property
    def preprocessing(self) -> dict[str, Any]:
        """What happens to an image before the network, for the bundle's readers."""
        return {
            "input": "uint8 pixels (N, C, H, W)",
            "channels": self.in_channels,
            "image_size": list(self.image_size),
            "network_size": list(self.input_size),
            "fit": self.fit,
            "mean": self.mean.flatten().tolist(),
            "std": self.std.flatten().tolist(),
            "pixel_ranges": self.pixel_ranges,
        }

    # A user's own files

    @property
    def input_suffixes(self) -> tuple[str, ...]:
        """Image files, as Pillow reads them."""
        return tuple(sorted(suffixes()))

    def group_files(self, files: Sequence[Path]) -> list[Path]:
        """The files as they are, each an image. Those of more than 8 bits share one range of
        values where training saw none of their kind."""
        self._call_ranges = CallRanges(self.pixel_ranges, [str(path) for path in files])
        return list(files)

    def read_file(self, path: Path) -> Tensor:
        """One image as the data's loader would give it: uint8 (in_channels, height, width).

        Raises:
            UsageError: the file is missing, does not decode, or has values outside the range of
                the training images.
        """
        pixels, note = read_noted(path, self.in_channels, self.image_size, self._call_ranges)
        if note:
            rank_zero_print(note)
        return pixels

    def describe_prediction(self, probabilities: Tensor) -> dict[str, Any]:
        """The likeliest class, its probability, and those of all.

        Args:
            probabilities: (num_classes,), one row of ``predict_step``.
        """
        best = int(probabilities.argmax())
        named = zip(self.label_names, probabilities.tolist(), strict=True)
        return {
            "label": self.label_names[best],
            "confidence": round(float(probabilities[best]), 6),
            "probabilities": {name: round(prob, 6) for name, prob in named},
        }

    def draw_predictions(
        self, names: Sequence[str], samples: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> Figure:
        """The images as the model saw them, under what it took them for."""
        rows = [self.describe_prediction(output) for output in outputs]
        titles = [
            f"{name[-18:]}\n{row['label']} {row['confidence']:.0%}"
            for name, row in zip(names, rows, strict=True)
        ]
        images = [sample.permute(1, 2, 0).squeeze(-1).numpy() for sample in samples]
        return plots.contact_sheet(images, titles)

    # Training

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy of (N, num_classes) logits and (N,) labels."""
        return F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        images, labels = batch
        logits = self.network(self.normalize(self.deformation(self.prepare(images))))
        loss = self.loss(logits, labels)
        _update(self.train_tally, loss, logits, labels)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        images, labels = batch
        logits = self(images)
        _update(self.val_tally, F.cross_entropy(logits, labels), logits, labels)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        images, labels = batch
        self.measure(images, self(images), labels)

    def measure(self, images: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch of the test to its metrics."""
        _update(self.test_tally, F.cross_entropy(logits, labels), logits, labels)
        self.confusion.update(logits, labels)
        self._keep_worst(images, logits, labels)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Probabilities (N, num_classes) of a batch of images, with or without labels."""
        images = batch if isinstance(batch, Tensor) else batch[0]
        probs: Tensor = self(images).softmax(dim=1)
        return probs

    def configure_optimizers(self) -> OptimizerLRScheduler:
        values = self.hparams
        optimizer = optim.optimizer(
            values["optimizer"],
            self.named_parameters(),
            values["lr"],
            values["momentum"],
            values["weight_decay"],
            head=self.head,
            lr_backbone=values["lr_backbone"],
            fused=optim.may_fuse(self),
        )
        factor = schedules.schedule(
            values["schedule"],
            optim.total_steps(self.trainer),
            optim.EpochSteps(self.trainer).epoch,
            warmup=values["warmup"],
            decay=values["lr_decay"],
            floor=values["lr_floor"] / values["lr"],
        )
        return optim.with_schedule(optimizer, factor)

    # Measuring: sums on the device, read once an epoch, so that no step waits for a number

    def _log_metrics(self, stage: str, metrics: EpochMetrics, names: Sequence[str]) -> None:
        values = metrics.compute()
        metrics.reset()
        for name in names:
            # They are the same in every process; the mean of equals says so to Lightning.
            self.log(f"{stage}/{name}", values[name], prog_bar=name != "accuracy", sync_dist=True)

    def on_train_epoch_end(self) -> None:
        self._log_metrics("train", self.train_tally, ("loss", "accuracy"))

    def on_validation_epoch_end(self) -> None:
        self._log_metrics("val", self.val_tally, ("loss", "accuracy", "error"))

    def on_test_start(self) -> None:
        """Refuse data whose values are read by another range than the training data's."""
        data = getattr(self.trainer, "datamodule", None)
        others = getattr(data, "facts", {}).get("pixel_ranges") or {}
        for kind in {*self.pixel_ranges, *others}:
            mine, other = (
                ranges.get(STATED) or ranges.get(kind) for ranges in (self.pixel_ranges, others)
            )
            if mine and other and list(mine) != list(other):
                raise UsageError(
                    f"the model was trained on images in which {mine[0]:g} is black and "
                    f"{mine[1]:g} white, and in these it is {other[0]:g} and {other[1]:g}: give "
                    f"--data.range '[{mine[0]:g}, {mine[1]:g}]'"
                )

    def on_test_epoch_start(self) -> None:
        self._worst = []

    def on_test_epoch_end(self) -> None:
        self._log_metrics("test", self.test_tally, ("loss", "accuracy", "error"))
        self._counts = self.confusion.compute().cpu()
        self.confusion.reset()

    # Plots

    def _keep_worst(self, images: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Keep the wrong predictions of largest loss, ``WORST_KEPT`` of them at most."""
        predicted = logits.argmax(dim=1)
        wrong = (predicted != labels).nonzero()[:, 0]
        losses = F.cross_entropy(logits[wrong].float(), labels[wrong], reduction="none")
        order = losses.argsort(descending=True)[:WORST_KEPT]
        chosen = wrong[order]
        confidence = logits[chosen].float().softmax(dim=1).amax(dim=1)
        self._worst += zip(
            losses[order].tolist(),
            labels[chosen].tolist(),
            predicted[chosen].tolist(),
            confidence.tolist(),
            images[chosen].cpu(),
            strict=True,
        )
        self._worst = sorted(self._worst, key=lambda mistake: -mistake[0])[:WORST_KEPT]

    @torch.no_grad()
    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """The confusion matrix and the worst mistakes, of the test or else of this batch.

        Args:
            batch: Images and labels, for a model that was not tested before.
        """
        counts, worst = self._counts, self._worst
        if counts is None:
            images, labels = batch
            self._worst = []
            logits = self(images)
            confusion = MulticlassConfusionMatrix(self.num_classes).to(logits.device)
            counts = confusion(logits, labels).cpu()
            self._keep_worst(images, logits, labels)
            worst, self._worst = self._worst, []
        drawn = {"confusion": plots.confusion_matrix(counts.numpy(), self.label_names)}
        if worst:
            titles = [
                f"{self.label_names[true]} -> {self.label_names[predicted]}\n{confidence:.0%}"
                for _, true, predicted, confidence, _ in worst
            ]
            mistakes = [image.permute(1, 2, 0).squeeze(-1).numpy() for *_, image in worst]
            drawn["mistakes"] = plots.contact_sheet(
                mistakes, titles, heading="worst mistakes: true -> predicted, confidence"
            )
        return drawn


_Mistake = tuple[float, int, int, float, Tensor]


def _update(metrics: EpochMetrics, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
    correct = (logits.detach().argmax(dim=1) == labels).sum()
    metrics.update(loss.detach(), correct, len(labels))


def height_and_width(name: str, values: Sequence[int]) -> tuple[int, int]:
    """Two lengths in pixels.

    Raises:
        UsageError: they are not two, or one is below 1; names the argument.
    """
    require(
        len(values) == 2 and min(values) >= 1,
        f"{name} is {list(values)}; it takes a height and a width in pixels",
    )
    return int(values[0]), int(values[1])


def _channels(name: str, values: list[float] | None, channels: int) -> Tensor:
    if values is None:
        return torch.full((channels,), 0.5)
    if len(values) != channels or (name == "std" and min(values) <= 0):
        raise UsageError(
            f"{name} is {values}; it takes {channels} number(s), one a channel"
            + (", above 0" if name == "std" else "")
        )
    return torch.tensor(values, dtype=torch.float32)


def _with_channels(images: Tensor, channels: int) -> Tensor:
    """Gray to RGB by repeating, RGB to gray by luma."""
    if images.shape[1] == 1:
        return images.expand(-1, channels, -1, -1)
    if images.shape[1] == 3 and channels == 1:
        weights = torch.tensor(_LUMA, device=images.device).view(1, 3, 1, 1)
        return (images * weights).sum(dim=1, keepdim=True)
    raise UsageError(f"images have {images.shape[1]} channels; the model takes 1 or 3")
