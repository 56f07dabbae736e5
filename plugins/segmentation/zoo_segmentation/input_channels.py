"""Weights carried over to volumes of another number of channels."""

from __future__ import annotations

import torch
from torch import Tensor


def adapt_axis(weight: Tensor, axis: int, before: int, now: int, positions: int = 1) -> Tensor:
    """The weights of a layer that reads the input, for another number of channels.

    Every new channel gets the mean of the old ones' weights, times ``before / now``: on channels
    that are alike, the layer gives what it gave before.

    Args:
        weight: Its axis holds ``before * positions`` inputs, channel by channel, and perhaps
            others after them, which stay.
        axis: Which one.
        before: Channels of the saved model.
        now: Channels of the new one.
        positions: Inputs of each channel, such as the voxels of a block.

    Returns:
        The same with ``now * positions`` inputs and the others.
    """
    inputs = before * positions
    read, others = weight.split([inputs, weight.shape[axis] - inputs], dim=axis)
    channels = read.unflatten(axis, (before, positions))
    mean = channels.mean(dim=axis, keepdim=True) * (before / now)
    new = mean.repeat_interleave(now, dim=axis).flatten(axis, axis + 1)
    return torch.cat([new, others], dim=axis)


def named(weights: dict[str, Tensor], ending: str) -> str | None:
    """The name of the one tensor that ends so; None if there is none."""
    return next((name for name in weights if f".{name}".endswith(f".{ending}")), None)
