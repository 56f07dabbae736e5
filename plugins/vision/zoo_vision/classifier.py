"""What all image classifiers share: preprocessing, deformation, training, measuring, metrics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
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
from zoo_vision import schedules, views
from zoo_vision.augmentation import Deformation
from zoo_vision.batch_augmentation import Augmentation, Mixing
from zoo_vision.class_bars import class_bars
from zoo_vision.data.decoding import read_noted
from zoo_vision.data.folder_ranges import CallRanges
from zoo_vision.data.opening import suffixes
from zoo_vision.data.pixel_range import STATED
from zoo_vision.labels import Labels, OneLabel, SeveralLabels
from zoo_vision.layers import resize
from zoo_vision.metrics import ClassCounts, EpochMetrics, Outputs, by_class

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORST_KEPT = 32
TOP = 5
"""Classes that a prediction names, the likeliest first."""
# Weights of red, green and blue in luma (ITU-R BT.601).
_LUMA = (0.299, 0.587, 0.114)


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
        class_weights: Weight of each class in the training loss; ``balanced`` takes the inverse of
            how often the training images have it. Every class weighs 1 without.
        class_shares: Share of the training images that have each class. Filled in from the data.
        multilabel: Whether an image may have several classes, or none. Filled in from the data.
        rotation: Largest random rotation, degrees, either way.
        scaling: Largest random change of height and of width, as a fraction.
        translation: Largest random shift, as a fraction of height and of width.
        elastic_sigma: Smoothing of the random elastic displacement, pixels.
        elastic_alpha: Strength of the random elastic displacement, pixels; 0 is off.
        elastic_filter: Side of its smoothing filter, pixels, odd; the papers' is 21. Without, 4
            ``elastic_sigma`` either way.
        border: What deformation finds beyond the image: ``zeros``, ``border`` or ``reflection``.
        hflip: Probability of a mirror image.
        vflip: Probability of an image that is upside down.
        crop_scale: Smallest and largest area of a random resized crop, as fractions of the image,
            such as [0.35, 1.0]; none without.
        color_jitter: Largest relative random change of brightness, contrast and saturation.
        auto_augment: ``none``, ``randaugment`` or ``trivialaugment``.
        magnitude: Of ``randaugment``, from 0 to 30.
        random_erasing: Probability of erasing a random rectangle.
        mixup: Mixes two images by a share from Beta(mixup, mixup); 0 is off.
        cutmix: Pastes a part of one image into another, of a share from Beta(cutmix, cutmix); 0
            is off. Of both, one is chosen for each batch.
        class_metrics: Log precision, recall and F1 of each class too.

    Raises:
        UsageError: an argument is out of its range, or two do not fit together.
    """

    task_arguments = ("num_classes", "label_names", "pixel_ranges", "class_shares", "multilabel")
    fixed_shapes = True
    channels_last = False
    """Whether a GPU is given images with the channels last, which its fast convolutions take."""
    monitor = "val/accuracy"
    monitor_mode = "max"
    plot_captions = {  # noqa: RUF012  # read, never changed
        "mistakes": "The test images that were taken for another class with most certainty: true "
        "-> predicted, confidence.",
        "confusion": "The test images by true class (rows) and predicted class (columns).",
    }
    network: nn.Module
    input_size: tuple[int, int]
    mean: Tensor
    std: Tensor
    class_weights: Tensor | None

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
        elastic_filter: int | None = None,
        border: Literal["zeros", "border", "reflection"] = "border",
        class_weights: Literal["balanced"] | list[float] | None = None,
        class_shares: list[float] | None = None,
        multilabel: bool = False,
        hflip: float = 0.0,
        vflip: float = 0.0,
        crop_scale: list[float] | None = None,
        color_jitter: float = 0.0,
        auto_augment: Literal["none", "randaugment", "trivialaugment"] = "none",
        magnitude: int = 9,
        random_erasing: float = 0.0,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        class_metrics: bool = False,
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
            rotation,
            scaling,
            translation,
            elastic_sigma,
            elastic_alpha,
            border,
            elastic_filter,
        )
        self.augmentation = Augmentation(
            hflip, vflip, crop_scale, color_jitter, auto_augment, magnitude, random_erasing
        )
        self.mixing = Mixing(mixup, cutmix, num_classes)
        self.labels: Labels = SeveralLabels() if multilabel else OneLabel()
        weights = _class_weights(self.labels, class_weights, class_shares, num_classes)
        self.register_buffer("class_weights", weights, persistent=False)
        # Checkpoints within an epoch know the metrics by these names.
        self.train_tally, self.val_tally = EpochMetrics(), EpochMetrics()
        self.test_tally = EpochMetrics()
        self.val_classes = ClassCounts(num_classes, multilabel)
        self.test_classes = ClassCounts(num_classes, multilabel)
        self.test_outputs = Outputs(multilabel)
        self.confusion = MulticlassConfusionMatrix(num_classes, validate_args=False)
        self.class_metrics = class_metrics
        self._drawn: dict[str, Figure] | None = None
        self._worst: list[_Mistake] = []
        self._views: dict[str, Tensor] = {}

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
        return resize(self._of_data_size(images), self.input_size, self.fit)

    def _of_data_size(self, images: Tensor) -> Tensor:
        images = images.float().div_(255) if images.dtype == torch.uint8 else images.float()
        if images.shape[1] != self.in_channels:
            images = _with_channels(images, self.in_channels)
        return resize(images, self.image_size)

    def augment(self, images: Tensor) -> Tensor:
        """Prepare images, as ``prepare`` does, and change each of them at random."""
        images = self._of_data_size(images)
        if self.augmentation.crop_scale is None:
            images = resize(images, self.input_size, self.fit)
        else:
            images = self.augmentation.crop(images, self.input_size)
        return self.augmentation.change(self.deformation(images))

    def normalize(self, images: Tensor) -> Tensor:
        # Under "bf16-true" the constants and the weights are bfloat16 and the images are not.
        normalized = ((images - self.mean) / self.std).to(self.mean.dtype)
        if self.channels_last and normalized.is_cuda:
            return normalized.contiguous(memory_format=torch.channels_last)
        return normalized

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
            "several_labels": self.labels.several,
        }

    @property
    def onnx_script(self) -> str:
        """A script that applies the ONNX file, with onnxruntime, numpy and Pillow alone."""
        return (Path(__file__).parent / "templates" / "onnx_script.py").read_text(encoding="utf-8")

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
        """The likeliest class and its probability, the likeliest five, and those of all. Of
        several labels those above 1/2, and the probability that the least sure of them, or of the
        others, is right.

        Args:
            probabilities: (num_classes,), one row of ``predict_step``.
        """
        label = self._named(probabilities > 0.5 if self.labels.several else probabilities.argmax())
        sure = torch.maximum(probabilities, 1 - probabilities).min()
        confidence = sure if self.labels.several else probabilities.max()
        top = probabilities.topk(min(TOP, len(probabilities)))
        named = zip(self.label_names, probabilities.tolist(), strict=True)
        return {
            "label": label,
            "confidence": round(float(confidence), 6),
            "top": [
                {"label": self.label_names[place], "probability": round(value, 6)}
                for value, place in zip(top.values.tolist(), top.indices.tolist(), strict=True)
            ],
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
        """Mean loss of training: cross-entropy, of several labels the binary one.

        Args:
            logits: (N, num_classes).
            labels: (N,), or (N, num_classes) of several or mixed labels.
        """
        return self.labels.loss(logits, labels, self.class_weights, self.label_smoothing)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        images, labels = batch
        inputs, targets = self.mixing(self.augment(images), labels)
        logits = self.network(self.normalize(inputs))
        loss = self.loss(logits, targets)
        self._update(self.train_tally, loss, logits, labels)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        images, labels = batch
        logits = self(images)
        self._update(self.val_tally, self.labels.loss(logits, labels), logits, labels)
        self.val_classes.update(logits, labels)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        images, labels = batch
        self.measure(images, self.scores(images), labels)

    def measure(self, images: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch of the test to its metrics."""
        self._update(self.test_tally, self.labels.loss(logits, labels), logits, labels)
        self._count(logits, labels)
        self.test_outputs.update(self.labels.probabilities(logits), labels)
        self._keep_worst(images, logits, labels)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Probabilities (N, num_classes) of a batch of images, with or without labels."""
        images = batch if isinstance(batch, Tensor) else batch[0]
        return self.labels.probabilities(self.scores(images))

    # Averaged with others, and over views

    def to_probabilities(self, outputs: Tensor) -> Tensor:
        """Logits as probabilities."""
        return self.labels.probabilities(outputs)

    def probabilities_of(self, output: Tensor) -> Tensor:
        """One row of ``predict_step``, as it is."""
        return output

    def with_probabilities(self, output: Tensor, probabilities: Tensor) -> Tensor:
        """Other probabilities in its place."""
        return probabilities

    def measure_probabilities(self, batch: Any, probabilities: Tensor) -> None:
        """Add a batch of the test to its metrics, by probabilities (N, num_classes) of others."""
        images, labels = batch
        self.measure(images, self.labels.logits(probabilities), labels)

    def describe_batch(self, batch: Any, probabilities: Tensor) -> list[dict[str, Any]]:
        """The true class of each image beside what ``describe_prediction`` says."""
        return [
            {"truth": self._named(label), **self.describe_prediction(row)}
            for label, row in zip(batch[1].cpu(), probabilities, strict=True)
        ]

    def _named(self, label: Tensor) -> str:
        """A label, or several, by name."""
        places = label.nonzero()[:, 0].tolist() if self.labels.several else [int(label)]
        return ", ".join(self.label_names[place] for place in places) or "none"

    def use_tta(self) -> list[str]:
        """Average over mirrored, turned, scaled and moved images too, if the training showed such.

        Raises:
            UsageError: it did not.
        """
        self._views = views.affine_views(self.deformation, self.augmentation)
        if not self._views:
            raise UsageError(
                "the model was trained without flips, rotation, scaling or translation, so nothing "
                "says that it knows changed views of an image: omit --tta"
            )
        return ["as it is", *self._views]

    def scores(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of predictions and tests, over views where ``use_tta`` says."""
        if not self._views:
            logits: Tensor = self(images)
            return logits
        return views.mean_logits(self, images, self._views, self.deformation.border, self.labels)

    @property
    def lr_scale(self) -> dict[str, float]:
        """Factors on the learning rates of some parameters, by name."""
        return {}

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
            lr_scale=self.lr_scale,
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

    def _update(self, metrics: EpochMetrics, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        correct = self.labels.correct(logits.detach(), labels).sum()
        metrics.update(loss.detach(), correct, len(labels))

    def _log_classes(self, stage: str, counts: ClassCounts) -> None:
        values = counts.summary()
        if stage == "test" and self.class_metrics:
            values |= by_class(counts.compute(), self.label_names)
        for name, value in values.items():
            self.log(f"{stage}/{name}", value, sync_dist=True)

    def on_train_epoch_end(self) -> None:
        self._log_metrics("train", self.train_tally, ("loss", "accuracy"))

    def on_validation_epoch_end(self) -> None:
        self._log_metrics("val", self.val_tally, ("loss", "accuracy", "error"))
        self._log_classes("val", self.val_classes)
        self.val_classes.reset()

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
        self._log_classes("test", self.test_classes)
        for name, value in self.test_outputs.compute().items():
            self.log(f"test/{name}", value, sync_dist=True)
        self.test_outputs.reset()
        self._drawn = self._draw_counts()

    # Plots

    def _keep_worst(self, images: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Keep the wrong predictions of largest loss, ``WORST_KEPT`` of them at most."""
        wrong = (~self.labels.correct(logits, labels)).nonzero()[:, 0]
        losses = self.labels.losses(logits[wrong], labels[wrong])
        order = losses.argsort(descending=True)[:WORST_KEPT]
        chosen = wrong[order]
        rows = self.labels.probabilities(logits[chosen].float()).cpu()
        for loss, index, row in zip(losses[order].tolist(), chosen.tolist(), rows, strict=True):
            said = self.describe_prediction(row)
            title = f"{self._named(labels[index])} -> {said['label']}\n{said['confidence']:.0%}"
            self._worst.append((loss, title, images[index].cpu()))
        self._worst = sorted(self._worst, key=lambda mistake: -mistake[0])[:WORST_KEPT]

    @torch.no_grad()
    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """The confusion matrix, or of several labels precision and recall of each, and the worst
        mistakes; of the test or else of this batch.

        Args:
            batch: Images and labels, for a model that was not tested before.
        """
        drawn, worst = self._drawn, self._worst
        if drawn is None:
            images, labels = batch
            self._worst = []
            logits = self(images)
            self._count(logits, labels)
            drawn = self._draw_counts()
            self._keep_worst(images, logits, labels)
            worst, self._worst = self._worst, []
        if worst:
            pictures = [image.permute(1, 2, 0).squeeze(-1).numpy() for *_, image in worst]
            drawn["mistakes"] = plots.contact_sheet(
                pictures,
                [title for _, title, _ in worst],
                heading="worst mistakes: true -> predicted, confidence",
            )
        return drawn

    def _count(self, logits: Tensor, labels: Tensor) -> None:
        self.test_classes.update(logits, labels)
        if not self.labels.several:
            self.confusion.update(logits, labels)

    def _draw_counts(self) -> dict[str, Figure]:
        """What was counted, which starts again."""
        if self.labels.several:
            drawn = {"classes": class_bars(self.test_classes.compute(), self.label_names)}
        else:
            counts = self.confusion.compute().cpu().numpy()
            drawn = {"confusion": plots.confusion_matrix(counts, self.label_names)}
        self.confusion.reset()
        self.test_classes.reset()
        return drawn


_Mistake = tuple[float, str, Tensor]


def _class_weights(
    labels: Labels,
    weights: Literal["balanced"] | list[float] | None,
    shares: list[float] | None,
    classes: int,
) -> Tensor | None:
    if weights is None:
        return None
    if weights == "balanced":
        require(
            shares is not None and len(shares) == classes,
            "class_weights 'balanced' needs to know how often each class is, which these data do "
            "not say; state a number for each class",
        )
        return labels.balanced(shares or [])
    require(
        not isinstance(weights, str) and len(weights) == classes and min(weights) >= 0,
        f"class_weights is {weights}; it takes 'balanced', or {classes} numbers, 0 or more, one "
        "for each class",
    )
    return torch.tensor(weights, dtype=torch.float32)


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
