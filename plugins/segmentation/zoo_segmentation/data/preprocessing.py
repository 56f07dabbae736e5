"""What happens to an image before a model, in training and in prediction alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from zoo_segmentation.memory import format_shape, require_memory

Normalize = Literal["volume", "slice", "nonzero"]
SAME_SPACING = 0.01
"""Spacings that differ by less than this fraction are one."""


def normalize(
    image: np.ndarray,
    by: Normalize = "volume",
    intensities: Sequence[Sequence[float] | None] | None = None,
) -> np.ndarray:
    """Subtract the mean of each channel and divide by its standard deviation.

    Args:
        image: float32 (C, *spatial).
        by: ``volume`` measures each channel over the whole image; ``slice`` over each slice of
            the first of three spatial axes; ``nonzero`` over the voxels that are not 0, which
            alone are changed.
        intensities: Of each channel [low, high, mean, standard deviation]: it is clipped to the
            first two and normalized by the others, and not by its own; or None.
    """
    if intensities is not None:
        channels = [
            normalize(channel[None], by)[0] if four is None else _fixed(channel, *four)
            for channel, four in zip(image, intensities, strict=True)
        ]
        return np.stack(channels)
    if by == "slice" and image.ndim == 4:
        slices = [normalize(image[:, index]) for index in range(image.shape[1])]
        return np.stack(slices, axis=1)
    return np.stack([_standardized(channel, by == "nonzero") for channel in image])


def _standardized(channel: np.ndarray, nonzero: bool) -> np.ndarray:
    """As MONAI's NormalizeIntensity, to the last bit, without the seconds of its import."""
    values = torch.tensor(channel, dtype=torch.float32)
    measured = values[values != 0] if nonzero else values
    if not measured.numel():
        return values.numpy()
    mean, spread = measured.mean().item(), measured.std(unbiased=False).item()
    changed = (measured - mean) / (spread or 1.0)
    if not nonzero:
        return changed.numpy()
    values[values != 0] = changed
    return values.numpy()


def _fixed(channel: np.ndarray, low: float, high: float, mean: float, std: float) -> np.ndarray:
    values = (channel.astype(np.float32).clip(low, high) - np.float32(mean)) / np.float32(std)
    return np.asarray(values, dtype=np.float32)


def resampled_size(
    shape: Sequence[int], spacing: Sequence[float], target: Sequence[float]
) -> tuple[int, ...]:
    """Number of voxels of ``target`` spacing that cover the same extent; ``shape`` if the
    spacings agree within a hundredth."""
    if all(abs(a / b - 1) < SAME_SPACING for a, b in zip(spacing, target, strict=True)):
        return tuple(shape)
    return tuple(max(1, round(n * a / b)) for n, a, b in zip(shape, spacing, target, strict=True))


def require_resampled(
    name: str,
    size: Sequence[int],
    spacing: Sequence[float],
    target: Sequence[float],
    channels: int,
) -> None:
    """Refuse a volume that this machine could not hold once resampled, before trying.

    Args:
        name: What to call it.
        size: Its voxels then.
        spacing: Edges of its voxels now, mm.
        target: And then.
        channels: Channels of float32.

    Raises:
        UsageError: as said; the usual reason is a header with a wrong voxel size or unit.
    """
    edges, wanted = ("x".join(f"{edge:g}" for edge in edges) for edges in (spacing, target))
    require_memory(
        4 * channels * math.prod(size),
        f"{name}: resampled from voxels of {edges} mm to {wanted} mm, its {format_shape(size)} "
        "voxels",
        "check voxel size and unit of length in its header",
    )


def resample(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Bring (C, *spatial) to a size: linear interpolation, smoothed before axes that shrink."""
    if image.shape[1:] == tuple(size):
        return image
    mode = "trilinear" if len(size) == 3 else "bilinear"
    shrinks = any(new < old for new, old in zip(size, image.shape[1:], strict=True))
    from monai.transforms import Resize

    resize = Resize(tuple(size), mode=mode, anti_aliasing=shrinks)
    return np.asarray(resize(torch.from_numpy(image)))


def resample_labels(label: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Bring a label map (*spatial) to a size: the nearest voxel's label."""
    if label.shape == tuple(size):
        return label
    from monai.transforms import Resize

    resized = Resize(tuple(size), mode="nearest-exact")(torch.from_numpy(label[None]).float())
    labels: np.ndarray = np.asarray(resized)[0].astype(label.dtype)
    return labels
