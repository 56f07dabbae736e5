"""Generated brain-like volumes, for a first try and for tests."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
from scipy.ndimage import gaussian_filter

from zoo.plugin import at_least, one_of, require
from zoo_segmentation.data.volume import Volume
from zoo_segmentation.data.volumes import TEST, TRAIN, VAL, Case, Listing, VolumeDataModule

LABELS = ["background", "csf", "grey matter", "white matter", "cerebellum"]
# Gray value of each tissue, as in a T1-weighted and in a FLAIR image.
CONTRASTS = {"T1": (0.05, 0.25, 0.55, 0.8, 0.62), "FLAIR": (0.05, 0.1, 0.7, 0.55, 0.66)}
VOLUMES = {TRAIN: 16, VAL: 2, TEST: 4}


def make_phantom(
    number: int, size: Sequence[int], noise: float = 0.05
) -> tuple[np.ndarray, np.ndarray]:
    """One brain-like volume, always the same for the same arguments.

    Nested, dented shells of cerebrospinal fluid, gray and white matter, with ventricles within
    and a cerebellum below, under a smooth change of brightness and Gaussian noise.

    Args:
        number: Which one.
        size: Voxels along D, H, W.
        noise: Standard deviation of the noise; tissues differ by 0.1 to 0.3.

    Returns:
        float32 (2, D, H, W), T1 and FLAIR, and uint8 (D, H, W), labels of `LABELS`.
    """
    random = np.random.default_rng([20150624, number])
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, length) for length in size], indexing="ij")
    width = max(size) / 12

    def smooth(strength: float) -> np.ndarray:
        field = gaussian_filter(random.standard_normal(tuple(size)), width)
        scaled: np.ndarray = strength * field / field.std()
        return scaled

    axes = random.uniform(0.8, 0.9, 3)
    shift = random.uniform(-0.06, 0.06, 3)
    radius = np.sqrt(
        ((z - shift[0]) / axes[0]) ** 2
        + ((y - shift[1]) / axes[1]) ** 2
        + ((x - shift[2]) / axes[2]) ** 2
    )
    label = np.zeros(tuple(size), dtype=np.uint8)
    label[radius < 1 + smooth(0.02)] = 1
    label[radius < 0.88 + smooth(0.05)] = 2
    label[radius < 0.62 + smooth(0.09)] = 3
    for side in (-1, 1):  # the ventricles
        distance = ((z - 0.1) / 0.3) ** 2 + (y / 0.35) ** 2 + ((x - side * 0.17) / 0.11) ** 2
        label[(distance < 1 + smooth(0.2)) & (label == 3)] = 1
    below = ((z + 0.5) / 0.28) ** 2 + ((y + 0.35) / 0.35) ** 2 + (x / 0.5) ** 2
    label[(below < 1 + smooth(0.1)) & (label > 0)] = 4
    brightness = 1 + smooth(0.08)
    image = np.stack([np.asarray(values)[label] for values in CONTRASTS.values()]) * brightness
    image += noise * random.standard_normal(image.shape)
    return image.astype(np.float32), label


class Phantom(VolumeDataModule):
    """Brain-like volumes of five classes, generated in a second; never quoted as a result.

    The volumes are always the same ones: 16 for training, 2 for validation, 4 for testing.

    Args:
        batch_size: Sub-volumes in a training batch, on each device.
        num_workers: Processes that prepare training batches.
        seed: Seed of the order, the places and the changes of the sub-volumes.
        split: ``standard``, or ``all`` to make every volume test data.
        size: Length of every axis of a volume (D, H, W), in voxels of 4 mm.
        channels: 1 for T1-like contrast, 2 for T1- and FLAIR-like.
        noise: Standard deviation of the images' noise; tissues differ by 0.1 to 0.3.
        patch_size: Length of every axis of a sub-volume (D, H, W).
        patches_per_volume: Sub-volumes of each volume in an epoch.
        crop_centers: Where sub-volumes are cut: ``balanced`` (around a voxel of each class equally
            often) or ``uniform``.
        flips: Axes (0 to 2, of D, H, W) that are mirrored in half of the sub-volumes.
    """

    conformance_arguments: ClassVar[dict[str, Any]] = {
        "size": [12, 16, 16],
        "patch_size": [8, 12, 12],
    }

    def __init__(
        self,
        batch_size: int = 2,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        size: list[int] | None = None,
        channels: int = 1,
        noise: float = 0.05,
        patch_size: list[int] | None = None,
        patches_per_volume: int = 1,
        crop_centers: str = "uniform",
        flips: list[int] | None = None,
    ) -> None:
        self.size = [24, 40, 32] if size is None else list(size)
        super().__init__(
            "the phantom",
            batch_size,
            num_workers,
            seed,
            split,
            patch_size=[16, 24, 24] if patch_size is None else patch_size,
            patches_per_volume=patches_per_volume,
            crop_centers=crop_centers,
            flips=flips or [],
        )
        require(
            len(self.size) == 3 and min(self.size) >= 8,
            f"size is {self.size}; it takes 3 lengths of 8 voxels or more",
        )
        one_of("channels", channels, (1, 2))
        at_least("noise", noise, 0)
        self.channels = channels
        self.image_noise = noise

    def _list(self) -> Listing:
        parts = [part for part, count in VOLUMES.items() for _ in range(count)]
        cases = [
            Case(f"phantom {number}", part, partial(self._make, number))
            for number, part in enumerate(parts)
        ]
        return Listing(cases, LABELS, list(CONTRASTS)[: self.channels])

    def _make(self, number: int) -> Volume:
        image, label = make_phantom(number, self.size, self.image_noise)
        return Volume(f"phantom {number}", image[: self.channels], label, (4.0, 4.0, 4.0))
