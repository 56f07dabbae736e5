"""MONAI's random transforms that training meets most, without what MONAI keeps to undo them.

They draw the same numbers from the same seeds and give the same voxels; of a turn, image and labels
are sampled together. On a CPU a sub-volume takes a third of the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from monai.networks.layers import AffineTransform
from monai.transforms import RandFlipd, RandRotated, RandScaleIntensityd, RandShiftIntensityd
from monai.transforms.utils import create_rotate, create_translate
from torch import Tensor


def plain(tensor: Tensor) -> Tensor:
    """Without MONAI's metadata."""
    as_tensor = getattr(tensor, "as_tensor", None)
    return as_tensor() if as_tensor else tensor


class Flip(RandFlipd):
    """As MONAI's, of one axis."""

    def __init__(self, keys: Any, prob: float, spatial_axis: int) -> None:
        super().__init__(keys, prob, spatial_axis)
        self._axis = spatial_axis + 1

    def __call__(self, data: Mapping[Any, Any], lazy: bool | None = None) -> dict[Any, Any]:
        changed = dict(data)
        self.randomize(None)
        if self._do_transform:
            for key in self.keys:
                changed[key] = plain(changed[key]).flip(self._axis)
        return changed


class Turn(RandRotated):
    """As MONAI's, to the nearest voxel, with the volume reflected beyond its edges."""

    def __call__(self, data: Mapping[Any, Any], lazy: bool | None = None) -> dict[Any, Any]:
        changed = dict(data)
        self.randomize(None)
        self.rand_rotate.randomize()
        if not self._do_transform:
            return changed
        parts = [plain(changed[key]).float() for key in self.keys]
        turn = self.rand_rotate
        size = parts[0].shape[1:]
        angle = (turn.x,) if len(size) == 2 else (turn.x, turn.y, turn.z)
        together = _turned(torch.cat(parts), angle)
        lengths = [len(part) for part in parts]
        for key, part in zip(self.keys, together.split(lengths), strict=True):
            changed[key] = part
        return changed


def _turned(volume: Tensor, angle: tuple[float, ...]) -> Tensor:
    dims = volume.ndim - 1
    middle = (np.array(volume.shape[1:]) - 1) / 2
    there = create_translate(dims, middle.tolist())
    back = create_translate(dims, (-middle).tolist())
    matrix = there @ create_rotate(dims, angle, rotate_order="XYZ") @ back
    sample = AffineTransform(
        normalized=False,
        mode="nearest",
        padding_mode="reflection",
        align_corners=False,
        reverse_indexing=True,
    )
    theta = torch.as_tensor(np.asarray(matrix), dtype=torch.float32)
    turned: Tensor = sample(volume[None], theta, spatial_size=tuple(volume.shape[1:]))
    return turned[0]


class Scale(RandScaleIntensityd):
    """As MONAI's, of all channels alike."""

    def __call__(self, data: Mapping[Any, Any]) -> dict[Any, Any]:
        changed = dict(data)
        self.randomize(None)
        if self._do_transform:
            self.scaler.randomize(None)
            for key in self.keys:
                changed[key] = plain(changed[key]) * (1 + self.scaler.factor)
        return changed


class Shift(RandShiftIntensityd):
    """As MONAI's, of all channels alike."""

    def __call__(self, data: Mapping[Any, Any]) -> dict[Any, Any]:
        changed = dict(data)
        self.randomize(None)
        if self._do_transform:
            self.shifter.randomize(None)
            for key in self.keys:
                changed[key] = plain(changed[key]) + self.shifter._offset  # noqa: SLF001  # MONAI's own subclass
        return changed
