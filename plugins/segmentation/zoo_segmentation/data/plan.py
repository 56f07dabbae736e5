"""Settings of a training chosen by its data: spacing, sub-volumes, batch, normalization, net.

The rules are those of nnU-Net, with its sizes on a GPU and smaller ones on a CPU:

- spacing: the median of the training volumes; where one axis is three times as coarse as the
  others and has a third of their voxels, the tenth percentile along it
- sub-volumes: near a cube in mm, no longer than the median volume, each length a multiple of what
  the net halves it by, reduced where they are longest for the volume until they fit a budget
- batch: as many as the same budget twice over takes, at most a twentieth of all voxels, at least 2
- normalization: each channel's own mean and standard deviation; of CT, whose values have a
  meaning, the 0.5th and 99.5th percentile, mean and standard deviation of all foreground
- net: an axis is halved while it has 8 voxels or more and is no coarser than twice the finest;
  windows are flat along an axis that is coarser

Source: Isensee et al., nnU-Net, Nature Methods 18, 2021, and its version 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo_segmentation.data.overview import Seen
from zoo_segmentation.data.volume import IGNORED, Volume

ANISOTROPIC = 3.0
"""An axis is coarse whose voxels are so many times as long as the others."""
BUDGET = {"gpu": 128**3, "cpu": 64**3}
"""Voxels of a sub-volume, at most."""
LONGEST = 256**3
"""Voxels of the cube that the reduction begins with."""
SAMPLED = 10_000
"""Foreground voxels of each volume that statistics are of."""
MOST_HALVINGS = 5


@dataclass(frozen=True)
class Plan:
    """What was chosen.

    Attributes:
        spacing: Voxel edges, mm.
        patch_size: Voxels of a sub-volume.
        batch_size: Sub-volumes in a batch.
        intensities: Of each channel [low, high, mean, standard deviation] of the foreground, to
            clip and normalize by; None where each volume's own are taken.
        flips: Axes that are mirrored.
        topology: ``strides`` and ``kernel_size`` of a UNet, level by level.
    """

    spacing: list[float]
    patch_size: list[int]
    batch_size: int
    intensities: list[list[float] | None] | None
    flips: list[int]
    topology: dict[str, Any]


class Foreground:
    """Collects the gray values of foreground voxels, volume by volume."""

    def __init__(self) -> None:
        self._values: list[np.ndarray] = []

    def look_at(self, volume: Volume) -> None:
        """Take a volume as its file has it."""
        places = np.flatnonzero((volume.label > 0) & (volume.label != IGNORED))
        if len(places) > SAMPLED:
            places = np.random.default_rng(len(self._values)).choice(places, SAMPLED)
        self._values.append(volume.image.reshape(len(volume.image), -1)[:, places])

    def statistics(self, channel: int) -> list[float] | None:
        """0.5th and 99.5th percentile, mean and standard deviation; None without foreground."""
        values = np.concatenate([each[channel] for each in self._values])
        if not len(values):
            return None
        low, high = np.percentile(values, (0.5, 99.5))
        found = (low, high, values.mean(dtype=np.float64), values.std(dtype=np.float64))
        return [float(f"{value:.7g}") for value in found]


def make_plan(
    training: Sequence[Seen],
    channel_names: Sequence[str],
    label_names: Sequence[str],
    foreground: Foreground,
    device: str,
    spacing: Sequence[float] | None = None,
) -> Plan:
    """Choose.

    Args:
        training: What was seen of the training volumes.
        channel_names: Those called CT are normalized by the foreground's statistics.
        label_names: Where one names a side, the axis from left to right is not mirrored.
        foreground: Of the training volumes.
        device: ``gpu`` or ``cpu``: what it has to fit.
        spacing: Where it is given already.
    """
    edges = list(spacing) if spacing is not None else choose_spacing(training)
    sizes = [
        [n * a / b for n, a, b in zip(one.shape, one.spacing, edges, strict=True)]
        for one in training
    ]
    median = np.maximum(np.median(sizes, axis=0), 1).tolist()
    patch, topology = choose_patch(median, edges, BUDGET[device])
    voxels = math.prod(patch)
    share = 0.05 * float(np.sum(np.prod(sizes, axis=1))) / voxels
    batch = max(2, math.floor(min(2 * BUDGET[device] / voxels, share)))
    of_ct = [name.strip().lower() == "ct" for name in channel_names]
    intensities = [foreground.statistics(c) if ct else None for c, ct in enumerate(of_ct)]
    sided = any(word in name.lower() for name in label_names for word in ("left", "right"))
    return Plan(
        edges,
        patch,
        batch,
        intensities if any(intensities) else None,
        [axis for axis in range(len(patch)) if not (sided and axis == len(patch) - 1)],
        topology,
    )


def choose_spacing(training: Sequence[Seen]) -> list[float]:
    """The voxel edges that all volumes are resampled to."""
    measured = np.array([one.spacing for one in training])
    target = np.median(measured, axis=0)
    worst = int(target.argmax())
    shape = np.median([one.shape for one in training], axis=0)
    others = [axis for axis in range(len(target)) if axis != worst]
    coarse = target[worst] > ANISOTROPIC * target[others].max()
    if coarse and shape[worst] * ANISOTROPIC < shape[others].min():
        finer = np.percentile(measured[:, worst], 10)
        target[worst] = max(finer, target[others].max())
    # Rounded, so that it reads well, and once: every volume is compared with this.
    return [float(f"{edge:.6g}") for edge in target]


def choose_patch(
    median: Sequence[float], spacing: Sequence[float], budget: int
) -> tuple[list[int], dict[str, Any]]:
    """A sub-volume, and the levels of a net for it.

    Args:
        median: The volumes' voxels at the spacing.
        spacing: Voxel edges, mm.
        budget: Voxels at most.
    """
    edges = np.asarray(spacing, dtype=float)
    cube = (LONGEST * edges.prod()) ** (1 / len(edges)) / edges
    patch = [max(1, round(min(side, length))) for side, length in zip(cube, median, strict=True)]
    while True:
        topology = levels(patch, spacing)
        divisors = np.prod(topology["strides"], axis=0) if topology["strides"] else [1] * len(patch)
        whole = [math.ceil(n / d) * int(d) for n, d in zip(patch, divisors, strict=True)]
        if math.prod(whole) <= budget or max(patch) == 1:
            return whole, topology
        ratio = [n / length if n > 1 else 0 for n, length in zip(patch, median, strict=True)]
        axis = max(range(len(patch)), key=lambda each: (round(ratio[each], 3), patch[each]))
        patch[axis] -= min(int(divisors[axis]), patch[axis] - 1)


def levels(patch: Sequence[int], spacing: Sequence[float]) -> dict[str, Any]:
    """Strides between the levels of a UNet, and the windows on each.

    Args:
        patch: Voxels of a sub-volume.
        spacing: Voxel edges, mm.
    """
    size, edges = list(map(float, patch)), list(map(float, spacing))
    strides: list[list[int]] = []
    kernels: list[list[int]] = []
    while True:
        finest = min(edges)
        kernels.append([3 if edge < 2 * finest else 1 for edge in edges])
        steps = [
            2 if n >= 8 and edge < 2 * finest else 1 for n, edge in zip(size, edges, strict=True)
        ]
        if max(steps) == 1 or len(strides) == MOST_HALVINGS:
            return {"strides": strides, "kernel_size": kernels}
        strides.append(steps)
        size = [math.ceil(n / step) for n, step in zip(size, steps, strict=True)]
        edges = [edge * step for edge, step in zip(edges, steps, strict=True)]
