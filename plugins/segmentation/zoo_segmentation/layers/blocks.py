"""Blocks of voxels as the channels of one position, and layers for every position alone.

A scan costs as many steps as an axis is long, so the nets may scan blocks of voxels: with the
block (p, q, r) a volume (N, C, D, H, W) becomes (N, C p q r, D / p, H / q, W / r), filled up with
zeros where a side does not divide, and the logits of a position become those of its voxels again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


def pointwise(inputs: int, outputs: int, spatial_dims: int) -> nn.Conv2d | nn.Conv3d:
    """A fully connected layer for every voxel: a convolution with windows of 1."""
    return (nn.Conv3d if spatial_dims == 3 else nn.Conv2d)(inputs, outputs, 1)


def block_sides(block: int | Sequence[int], spatial_dims: int) -> list[int]:
    """The side of a block along each axis."""
    return [block] * spatial_dims if isinstance(block, int) else list(block)


def to_blocks(x: Tensor, block: Sequence[int]) -> Tensor:
    """Make the voxels of every block of those sides channels; zeros fill up the last blocks."""
    if set(block) == {1}:
        return x
    pairs = list(zip(x.shape[2:], block, strict=True))
    x = F.pad(x, [edge for length, side in reversed(pairs) for edge in (0, -length % side)])
    batch, channels, *size = x.shape
    counts = [length // side for length, side in zip(size, block, strict=True)]
    x = x.reshape(batch, channels, *(n for pair in zip(counts, block, strict=True) for n in pair))
    dims = len(size)
    order = [0, 1, *range(3, 3 + 2 * dims, 2), *range(2, 2 + 2 * dims, 2)]
    return x.permute(order).reshape(batch, channels * math.prod(block), *counts)


def from_blocks(x: Tensor, block: Sequence[int], size: Sequence[int]) -> Tensor:
    """Undo ``to_blocks``, down to the given size."""
    if set(block) == {1}:
        return x
    batch, channels, *counts = x.shape
    dims = len(counts)
    x = x.reshape(batch, channels // math.prod(block), *block, *counts)
    order = [0, 1, *(axis for d in range(dims) for axis in (2 + dims + d, 2 + d))]
    whole = [count * side for count, side in zip(counts, block, strict=True)]
    x = x.permute(order).reshape(batch, -1, *whole)
    for axis, length in enumerate(size):
        x = x.narrow(2 + axis, 0, length)
    return x
