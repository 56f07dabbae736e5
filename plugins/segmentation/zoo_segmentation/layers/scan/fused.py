"""The strategy ``fused``: ``grouped`` for GPUs, with few kernels a step.

As ``hoisted`` with all directions whose slabs are alike in one group, but for what a step does:
forward the convolution of h_{t-1} and one kernel for gates and states, backward one kernel for the
gradients of the gates and the convolution that gives that of h_{t-1} (``fused_cell``,
``step_convolution``). The gates take the place of the input's part of the pre-activations, in the
convolutions' dtype; states are float32. No step asks the host for anything but kernels, so that a
whole layer can be recorded as a CUDA graph, which ``graphed`` does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo_segmentation.layers.scan import fused_cell
from zoo_segmentation.layers.scan.geometry import images
from zoo_segmentation.layers.scan.hoisted import (
    Hoisted,
    gradients,
    in_order,
    in_steps,
    input_parts,
    recurrent,
)
from zoo_segmentation.layers.scan.step_convolution import chosen_way, convolve, convolve_back
from zoo_segmentation.layers.scan.strategy import (
    Gradients,
    Group,
    Span,
    State,
    Weights,
    state_dtype,
)


class Fused(Hoisted):
    """One kernel a step beside the convolution.

    Args:
        way: Of the step's convolution, one of ``step_convolution.WAYS``; by its rule without.
    """

    def __init__(self, way: str | None = None) -> None:
        super().__init__("shape")
        self.way = way

    def forward(
        self, rows: Tensor, group: Group, weights: Weights, span: Span, state: State | None
    ) -> tuple[list[Tensor], list[Tensor], State]:
        width, wide = weights.hidden, state_dtype(rows.dtype)
        gates = input_parts(rows, group, weights, span)
        kernel, bias = recurrent(group, weights)
        cells = rows.new_empty(*gates.shape[:-1], width, dtype=wide)
        narrow = rows.new_empty(len(cells) + 1, *cells.shape[1:])
        hidden = narrow[1:] if wide == rows.dtype else torch.empty_like(cells)
        before = None
        if state is not None:
            narrow[0], before = state
        for t in range(len(gates)):
            z = None
            if before is not None:
                h = images(narrow[t].flatten(-2))
                way = self.way or chosen_way(h, width)
                z = convolve(h, kernel, bias, weights.padding, len(group), way)
                z = z.view(gates[t].shape)
            fused_cell.forward(gates[t], z, before, cells[t], hidden[t], narrow[t + 1])
            before = cells[t]
        after = State(narrow[-1].clone(), cells[-1].clone())
        return in_order(hidden, group), [narrow, gates, cells], after

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
        narrow, gates, cells = saved
        saved.clear()
        d_out = in_steps(grad, group, span, cells)
        kernel, _ = recurrent(group, weights)
        d_gates = rows.new_empty(gates.shape)
        d_hidden, d_cell = later or (None, torch.empty_like(cells[0]))
        cell_before = None if state is None else state.cell
        for t in range(len(gates) - 1, -1, -1):
            before = cells[t - 1] if t else cell_before
            fused_cell.backward(gates[t], before, cells[t], d_out[t], d_hidden, d_cell, d_gates[t])
            if before is not None:
                h = images(narrow[t].flatten(-2))
                d_z = images(d_gates[t].flatten(-2))
                way = self.way or chosen_way(h, weights.hidden)
                d_h = convolve_back(d_z, h, kernel, weights.padding, len(group), way)
                d_hidden = d_h.view(d_out[t].shape)
        del gates, cells, d_out
        result = gradients(rows, group, weights, span, state, narrow, d_gates, needs_rows)
        if state is None or d_hidden is None:
            return result, None
        return result, State(d_hidden, d_cell)
