"""Random changes of nnU-Net's kinds and strength, by MONAI's transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from monai.transforms import (
    RandAdjustContrastd,
    RandAffined,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandGridDistortiond,
    RandScaleIntensityd,
    RandScaleIntensityFixedMeand,
    RandSimulateLowResolutiond,
)

FLAT = 3.0
"""A sub-volume so many times as wide as deep is turned in its plane alone."""


def nnunet_changes(size: Sequence[int], flips: Sequence[int]) -> list[Any]:
    """Turns, scaling, elastic deformation, noise, blur, brightness, contrast, low resolution,
    gamma (of the inverted image too) and mirrors.

    nnU-Net, version 2, has all of them at these probabilities and strengths but the deformation,
    which its version 1 has; here it moves the nodes of a coarse grid. Contrast is changed around
    the sub-volume's mean.

    Args:
        size: Of the sub-volumes, voxels; three axes.
        flips: Axes that are mirrored, each in half of the samples.

    Source: Isensee et al., nnU-Net, Nature Methods 18, 2021.
    """
    both, image = ["image", "label"], ["image"]
    spatial: dict[str, Any] = {"mode": ("bilinear", "nearest"), "padding_mode": "border"}
    flat = max(size) > FLAT * size[0]
    # MONAI's first angle turns around the first axis.
    turns = (np.pi, 0.0, 0.0) if flat else (np.pi / 6,) * 3
    scale = (0.0 if flat else (-0.3, 0.4), (-0.3, 0.4), (-0.3, 0.4))
    return [
        RandAffined(both, prob=0.2, rotate_range=turns, **spatial),
        RandAffined(both, prob=0.2, scale_range=scale, **spatial),
        RandGridDistortiond(both, prob=0.1, num_cells=4, distort_limit=0.1, **spatial),
        RandGaussianNoised(image, prob=0.1, std=0.1),
        RandGaussianSmoothd(
            image, prob=0.2, sigma_x=(0.5, 1.0), sigma_y=(0.5, 1.0), sigma_z=(0.5, 1.0)
        ),
        RandScaleIntensityd(image, prob=0.15, factors=0.25),
        RandScaleIntensityFixedMeand(
            image, prob=0.15, factors=0.25, fixed_mean=True, preserve_range=True
        ),
        RandSimulateLowResolutiond(image, prob=0.25, zoom_range=(0.5, 1.0)),
        RandAdjustContrastd(
            image, prob=0.1, gamma=(0.7, 1.5), invert_image=True, retain_stats=True
        ),
        RandAdjustContrastd(image, prob=0.3, gamma=(0.7, 1.5), retain_stats=True),
        *(RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in flips),
    ]
