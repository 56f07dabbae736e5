"""What a strategy has to do, and the words in which it does it.

The directions of a layer (four or six) fall into groups, each of which is scanned as one. A scan
of T steps is computed in spans of steps, one after another, so that prediction, and training that
recomputes, hold one span in memory and not the whole scan. A strategy answers three questions:
which directions form a group (``groups``), how a span is computed from the state before it
(``forward``), and its gradients from those of the state after it (``backward``). Adding up over
groups and spans is left to ``autograd``.

Shapes: rows (N, D, H, W, C) are the volume; a sequence (T, N, P, Q, C) is the rows seen along the
axis of a scan, its T slabs of (P, Q) pixels. Sequences lie in natural order, from the first slab
to the last, also where a scan runs against it. H is the number of hidden channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from zoo_segmentation.layers.scan.geometry import Direction

Group = Sequence[Direction]
"""Directions that are scanned together; ``len(group)`` is the number of a convolution's groups."""


class Weights(NamedTuple):
    """Weights of all directions, stacked; see ``PyramidLSTM``. Those of c~ are doubled."""

    x: Tensor  # (directions, 4 H, C, kP, kQ)
    h: Tensor  # (directions, 4 H, H, kP, kQ)
    bias_x: Tensor  # (directions, 4 H)
    bias_h: Tensor  # (directions, 4 H)

    @property
    def hidden(self) -> int:
        return self.h.shape[2]

    @property
    def window(self) -> tuple[int, int]:
        return self.h.shape[3], self.h.shape[4]

    @property
    def padding(self) -> list[int]:
        return [side // 2 for side in self.window]


class Gradients(NamedTuple):
    """Gradients of a span, for each direction of the group in turn."""

    weights: list[tuple[Tensor, Tensor, Tensor, Tensor]]
    """In the order of ``Weights``, without the first axis."""
    inputs: list[Tensor]
    """Sequences (T, N, P, Q, C) in natural order; empty where the input needs no gradient."""


class State(NamedTuple):
    """Between two steps of a scan: the hidden state in the convolutions' dtype, and the cell's."""

    hidden: Tensor
    cell: Tensor


class Span(NamedTuple):
    """The steps ``first`` to ``last`` (left out) of a scan of ``length`` steps.

    A scan is computed in spans, one after another, so that the backward pass can recompute one
    at a time from the state before it.
    """

    first: int
    last: int
    length: int

    def slabs(self, reverse: bool) -> slice:
        """The positions in the volume that these steps visit."""
        if reverse:
            return slice(self.length - self.last, self.length - self.first)
        return slice(self.first, self.last)


class Strategy(Protocol):
    """How the scans of a layer are computed."""

    def groups(self, directions: Sequence[Direction], size: Sequence[int]) -> list[Group]:
        """The directions that are scanned together, for volumes of size (D, H, W)."""
        ...

    def forward(
        self, rows: Tensor, group: Group, weights: Weights, span: Span, state: State | None
    ) -> tuple[list[Tensor], list[Tensor], State]:
        """Compute a span.

        Args:
            rows: The whole volume, (N, D, H, W, C).
            group: The directions to scan.
            weights: Of all directions.
            span: The steps to compute.
            state: The state before the span; None at the scan's beginning.

        Returns:
            The span's hidden states (T, N, P, Q, H) of each direction, what ``backward`` takes as
            ``saved``, and the state after the span.
        """
        ...

    def backward(
        self,
        rows: Tensor,
        group: Group,
        weights: Weights,
        span: Span,
        state: State | None,
        saved: list[Tensor],
        grad: Tensor,
        later: State | None,
        needs_rows: bool,
    ) -> tuple[Gradients, State | None]:
        """Compute the gradients of a span.

        Args:
            rows: This and the following as ``forward`` was given them.
            group: The directions to scan.
            weights: Of all directions.
            span: The steps to compute.
            state: The state before the span; None at the scan's beginning.
            saved: As ``forward`` returned it; emptied, so that its memory is free as soon as it
                is not needed.
            grad: Gradient of the sum of the hidden states, (N, D, H, W, H).
            later: Gradients of the state after the span; None at the scan's end.
            needs_rows: Whether the input's gradient is asked for.

        Returns:
            The span's gradients, and those of the state before it.
        """
        ...


def state_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype of cell and hidden states, for convolutions of ``dtype``: float32 or wider."""
    return torch.promote_types(dtype, torch.float32)


def state_gradients(
    state: State | None, d_hidden: Tensor | None, d_cell: Tensor | None
) -> State | None:
    """Gradients of the state before a span; None at the scan's beginning, where there is none."""
    if state is None:
        return None
    assert d_hidden is not None
    assert d_cell is not None
    return State(d_hidden, d_cell)
