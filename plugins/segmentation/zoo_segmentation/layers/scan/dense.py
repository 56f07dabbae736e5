"""The strategy ``dense``: one convolution a step, of the input and the hidden state as one.

Wx * x_t + Wh * h_{t-1} is a single convolution [Wx, Wh] * [x_t, h_{t-1}] of C + H channels, so
that a step reads and writes memory least often. Every direction is a scan of its own. A span of T
steps keeps three sequences: [x, h_{t-1}] (T, N, P, Q, C + H), the gates (T, N, P, Q, 4 H) and the
cell states (T, N, P, Q, H).

Forward, step by step: put h_{t-1} beside x_t, convolve, gates and states (``cell``). Backward,
from the last step to the first: gradients of the gates (``cell``), then of h_{t-1} by one
convolution with Wh; after the last step the gradients of both kernels, of the biases and of the
whole input follow in one convolution each.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo_segmentation.layers.scan import cell
from zoo_segmentation.layers.scan.convolution import (
    bias_gradient,
    input_gradient,
    kernel_gradient,
)
from zoo_segmentation.layers.scan.geometry import Direction, along, images, steps
from zoo_segmentation.layers.scan.strategy import (
    Gradients,
    Group,
    Span,
    State,
    Weights,
    state_dtype,
    state_gradients,
)


class Dense:
    """One convolution a step, of input and hidden state as one; one direction a scan."""

    def groups(self, directions: Sequence[Direction], size: Sequence[int]) -> list[Group]:
        return [[direction] for direction in directions]

    def forward(
        self, rows: Tensor, group: Group, weights: Weights, span: Span, state: State | None
    ) -> tuple[list[Tensor], list[Tensor], State]:
        axis, reverse, index = group[0]
        x = along(rows, axis)[span.slabs(reverse)]
        width, wide = weights.hidden, state_dtype(rows.dtype)
        channels = x.shape[-1]
        both = rows.new_empty(*x.shape[:-1], channels + width)
        both[..., :channels] = x
        gates = rows.new_empty(*x.shape[:-1], 4 * width, dtype=wide)
        cells = rows.new_empty(*x.shape[:-1], width, dtype=wide)
        hidden = torch.empty_like(cells)
        kernel = torch.cat((weights.x[index], weights.h[index]), dim=1)
        kernel = kernel.contiguous(memory_format=torch.channels_last)
        bias = weights.bias_x[index] + weights.bias_h[index]
        before = state
        for t in steps(len(x), reverse):
            if before is None:
                both[t, ..., channels:] = 0
                bias_t, cell_before = weights.bias_x[index], None
            else:
                both[t, ..., channels:] = before.hidden
                bias_t, cell_before = bias, before.cell
            z = F.conv2d(images(both[t]), kernel, bias_t, padding=weights.padding)
            gates[t] = z.permute(0, 2, 3, 1)
            cell.forward(gates[t], cell_before, cells[t], hidden[t])
            before = State(hidden[t], cells[t])
        assert before is not None
        # Copies: a view would keep the whole span in memory.
        after = State(before.hidden.to(rows.dtype, copy=True), before.cell.clone())
        return [hidden], [both, gates, cells], after

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
        axis, reverse, index = group[0]
        both, gates, cells = saved
        saved.clear()
        d_out = along(grad, axis)[span.slabs(reverse)]
        length, width = len(d_out), weights.hidden
        channels = both.shape[-1] - width
        kernel = weights.h[index].contiguous(memory_format=torch.channels_last)
        d_gates = rows.new_empty(gates.shape)
        wide = torch.empty_like(gates[0])
        d_hidden, d_cell = later or (None, None)
        cell_before = None if state is None else state.cell
        order = list(steps(length, reverse))
        for position in range(length - 1, -1, -1):
            t = order[position]
            total = d_out[t] if d_hidden is None else d_hidden.add_(d_out[t])
            before = cells[order[position - 1]] if position else cell_before
            d_cell = cell.backward(gates[t], before, cells[t], total, d_cell, wide)
            d_gates[t] = wide
            if before is not None:
                hidden = images(both[t])[:, channels:]
                d_h = input_gradient(images(d_gates[t]), hidden, kernel, weights.padding)
                d_hidden = d_h.permute(0, 2, 3, 1).to(gates.dtype)
        del gates, cells, wide  # before the convolutions that need most
        d_z = images(d_gates)
        d_kernel = kernel_gradient(d_z, images(both), weights.window, weights.padding)
        d_bias = bias_gradient(d_gates)
        d_bias_h = d_bias if state is not None else d_bias - bias_gradient(d_gates[order[0]])
        inputs = []
        if needs_rows:
            kernel = weights.x[index].contiguous(memory_format=torch.channels_last)
            d_x = input_gradient(d_z, images(both)[:, :channels], kernel, weights.padding)
            inputs = [d_x.permute(0, 2, 3, 1).view(*both.shape[:-1], channels)]
        gradients = Gradients(
            [(d_kernel[:, :channels], d_kernel[:, channels:], d_bias, d_bias_h)], inputs
        )
        return gradients, state_gradients(state, d_hidden, d_cell)
