"""Random changes of the images of a batch, wherever it lies, by torchvision's transforms.

Each image is changed by itself: flips, a random resized crop, color, RandAugment or
TrivialAugment, and erasing. Mixup and CutMix mix the images of a batch. All random numbers come
from torch's generators, whose states are part of every checkpoint: a resumed training draws those
of one that was never cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torchvision.transforms import v2

from zoo.plugin import at_least, one_of, require, within

POLICIES = ("none", "randaugment", "trivialaugment")


@dataclass(frozen=True)
class Augmentation:
    """What is changed at random, and how much. Names and values are those of timm's train script,
    and of torchvision.

    Args:
        hflip: Probability of a mirror image.
        vflip: Probability of an image that is upside down.
        crop_scale: Smallest and largest area of the random resized crop, as fractions of the
            image; its sides' ratio lies between 3/4 and 4/3. None crops nothing.
        color_jitter: Largest relative change of brightness, contrast and saturation.
        auto_augment: ``randaugment`` or ``trivialaugment``.
        magnitude: Of ``randaugment``, from 0 to 30.
        random_erasing: Probability of erasing a rectangle.

    Raises:
        UsageError: a value is out of its range.
    """

    hflip: float = 0.0
    vflip: float = 0.0
    crop_scale: list[float] | None = None
    color_jitter: float = 0.0
    auto_augment: Literal["none", "randaugment", "trivialaugment"] = "none"
    magnitude: int = 9
    random_erasing: float = 0.0

    def __post_init__(self) -> None:
        for name in ("hflip", "vflip", "random_erasing"):
            within(name, getattr(self, name), 0, 1)
        at_least("color_jitter", self.color_jitter, 0)
        one_of("auto_augment", self.auto_augment, POLICIES)
        within("magnitude", self.magnitude, 0, 30)
        scale = self.crop_scale
        require(
            scale is None or (len(scale) == 2 and 0 < scale[0] <= scale[1] <= 1),
            f"crop_scale is {scale}; it takes the smallest and the largest part of an image, such "
            "as [0.5, 1.0]",
        )

    @property
    def identity(self) -> bool:
        """Whether nothing is changed."""
        return self == Augmentation(magnitude=self.magnitude)

    def crop(self, images: Tensor, size: tuple[int, int]) -> Tensor:
        """Cut a random part out of each image and bring it to the network's size.

        Args:
            images: Float (N, C, H, W).
            size: Height and width.
        """
        if self.crop_scale is None:
            return images
        change = v2.RandomResizedCrop(size, scale=tuple(self.crop_scale), antialias=True)
        return torch.stack([change(image) for image in images])

    def change(self, images: Tensor) -> Tensor:
        """Change float images in [0, 1], (N, C, H, W), each by itself."""
        steps = self._steps()
        if not steps:
            return images
        return torch.stack([_changed(image, steps) for image in images])

    def _steps(self) -> list[v2.Transform]:
        steps: list[v2.Transform] = []
        if self.hflip:
            steps.append(v2.RandomHorizontalFlip(self.hflip))
        if self.vflip:
            steps.append(v2.RandomVerticalFlip(self.vflip))
        if self.color_jitter:
            steps.append(v2.ColorJitter(*3 * [self.color_jitter]))
        if self.auto_augment == "randaugment":
            steps.append(v2.RandAugment(magnitude=self.magnitude))
        elif self.auto_augment == "trivialaugment":
            steps.append(v2.TrivialAugmentWide())
        if self.random_erasing:
            steps.append(v2.RandomErasing(self.random_erasing, value="random"))
        return steps


def _changed(image: Tensor, steps: list[v2.Transform]) -> Tensor:
    for step in steps:
        image = step(image)
    return image.clamp(0, 1)


class Mixing:
    """Mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019): images and labels of a batch are
    mixed with those of the next image, by a share from Beta(alpha, alpha).

    Args:
        mixup: alpha of mixup; 0 is off.
        cutmix: alpha of CutMix; 0 is off. Of both, one is chosen for each batch.
        classes: How many.

    Raises:
        UsageError: a value is below 0.
    """

    def __init__(self, mixup: float, cutmix: float, classes: int) -> None:
        at_least("mixup", mixup, 0)
        at_least("cutmix", cutmix, 0)
        self._classes = classes
        self._ways: list[v2.Transform] = []
        if mixup:
            self._ways.append(v2.MixUp(alpha=mixup))
        if cutmix:
            self._ways.append(v2.CutMix(alpha=cutmix))

    @property
    def identity(self) -> bool:
        """Whether nothing is mixed."""
        return not self._ways

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Float (N, C, H, W) and the labels; mixed ones are float (N, classes)."""
        if not self._ways:
            return images, labels
        if labels.ndim == 1:
            labels = torch.nn.functional.one_hot(labels, self._classes)
        way = self._ways[int(torch.randint(len(self._ways), ()))]
        mixed: tuple[Tensor, Tensor] = way(images, labels.to(images.dtype))
        return mixed
