"""Blocks of voxels as the channels of one position, and layers for every position alone.

A scan costs as many steps as an axis is long, so the nets may scan blocks of voxels: with the
block (p, q, r) a volume (N, C, D, H, W) becomes (N, C p q r, D / p, H / q, W / r), filled up with
zeros where a side does not divide, and the logits of a position become those of its voxels again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def pointwise(inputs: int, outputs: int, spatial_dims: int) -> nn.Conv2d | nn.Conv3d:
    """A fully connected layer for every voxel: a convolution with windows of 1."""
    return (nn.Conv3d if spatial_dims == 3 else nn.Conv2d)(inputs, outputs, 1)


def block_sides(block: int | Sequence[int], spatial_dims: int) -> list[int]:
    """The side of a block along each axis."""
    return [block] * spatial_dims if isinstance(block, int) else list(block)


def shared_over_block(weight: Tensor, bias: Tensor, block: Sequence[int], channels: int) -> None:
    """Make the logits of all voxels of a block begin alike, in place.

    A last layer whose weights are drawn for each voxel of the block gives each its own logits
    from the same state: a pattern as fine as the block, which a short training does not unlearn.
    Afterwards every voxel has the weights of the block's first; of the inputs that are themselves
    voxels of the block, it has for each the weight that the first has for the one at the same
    distance, counted around the block's edge.

    Args:
        weight: (classes * voxels, inputs, ...) of the last layer, as ``from_blocks`` reads it.
        bias: (classes * voxels).
        block: Sides of the block.
        channels: Of its inputs, the first ``channels * voxels`` are those of ``to_blocks``.

    Source: the same idea for sub-pixel convolutions is ICNR, Aitken et al., arXiv:1707.02937.
    """
    sides, positions = list(block), math.prod(block)
    with torch.no_grad():
        by_voxel = weight.unflatten(0, (-1, positions))
        first = by_voxel[:, 0].clone()
        voxels, rest = first.split([channels * positions, first.shape[1] - channels * positions], 1)
        grid = voxels.unflatten(1, (channels, *sides))
        for position in range(positions):
            shift: list[int] = []
            left = position
            for side in reversed(sides):
                shift.insert(0, left % side)
                left //= side
            axes = tuple(range(2, 2 + len(sides)))
            moved = grid.roll(shift, axes).flatten(1, 1 + len(sides))
            by_voxel[:, position] = torch.cat([moved, rest], dim=1)
        of_voxel = bias.unflatten(0, (-1, positions))
        of_voxel[:] = of_voxel[:, :1].clone()


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
