"""What all image classifiers share: their arguments, preprocessing and training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from zoo.plugin import (
    UsageError,
    above,
    at_least,
    one_of,
    optim,
    rename_keys,
    require,
)
from zoo_vision import schedules
from zoo_vision.augmentation import Deformation
from zoo_vision.batch_augmentation import Augmentation, Mixing
from zoo_vision.labels import Labels, OneLabel, SeveralLabels
from zoo_vision.layers import resize
from zoo_vision.measuring import MeasuredModule

# Weights of red, green and blue in luma (ITU-R BT.601).
_LUMA = (0.299, 0.587, 0.114)


class Classifier(MeasuredModule):
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
        self._start_predicting()
        self._start_measuring(num_classes)
        self.class_metrics = class_metrics

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
