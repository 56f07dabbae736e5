"""Axes and senses of a scan, and the views of a volume along them.

Volumes lie in memory as rows, (N, D, H, W, C), channels last. A sequence is a view of them along
one axis, (T, N, P, Q, C): T slabs of (P, Q) pixels, so that a step of a scan is ``sequence[t]``.
Images are volumes of depth 1 without a scan along it.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

_ORDER = ((1, 0, 2, 3, 4), (2, 0, 1, 3, 4), (3, 0, 1, 2, 4))


class Direction(NamedTuple):
    """One scan: along ``axis`` (0 D, 1 H, 2 W), against it if ``reverse``; weights ``number``."""

    axis: int
    reverse: bool
    number: int


def directions(spatial_dims: int) -> list[Direction]:
    """(+D, -D,) +H, -H, +W, -W: the order in which a layer's weights are stacked."""
    axes = range(3 - spatial_dims, 3)
    return [
        Direction(axis, reverse, 2 * position + reverse)
        for position, axis in enumerate(axes)
        for reverse in (False, True)
    ]


def along(rows: Tensor, axis: int) -> Tensor:
    """View rows (N, D, H, W, C) as the sequence (T, N, P, Q, C) along an axis."""
    return rows.permute(_ORDER[axis])


def steps(length: int, reverse: bool) -> range:
    """The positions of a scan in the order in which it visits them."""
    return range(length - 1, -1, -1) if reverse else range(length)


def images(sequence: Tensor) -> Tensor:
    """View (..., P, Q, C) as channels-last images (-1, C, P, Q) for a convolution."""
    return sequence.reshape(-1, *sequence.shape[-3:]).permute(0, 3, 1, 2)
