"""The strategies ``hoisted``, ``paired`` and ``grouped``: the input's convolutions leave the loop.

Wx * x_t does not depend on the state, so it is computed for all T slabs of a span in one
convolution before the scan; a step then convolves h_{t-1} alone. The G directions of a group are
scanned as one, by a convolution of G groups: of an axis both senses, the one reversed in time
(``paired``), or all axes whose slabs have the same shape, as in a cube all six (``grouped``). A
span keeps, in the order in which its steps visit the slabs, the hidden states before every step
and after the last (T + 1, N, P, Q, G, H), the gates (T, N, P, Q, G, 4 H) and the cell states
(T, N, P, Q, G, H).

Forward: Wx * x for the span, then step by step add Wh * h_{t-1}, gates and states (``cell``).
Backward, from the last step to the first: gradients of the gates (``cell``), then of h_{t-1} by
one grouped convolution; after the last step Wh's gradient in one grouped convolution, and for
each direction on its own those of Wx and the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo_segmentation.layers.scan import cell
from zoo_segmentation.layers.scan.convolution import (
    bias_gradient,
    input_gradient,
    kernel_gradient,
)
from zoo_segmentation.layers.scan.geometry import Direction, along, images
from zoo_segmentation.layers.scan.strategy import (
    Gradients,
    Group,
    Span,
    State,
    Weights,
    state_dtype,
    state_gradients,
)


class Hoisted:
    """The input's convolutions before the scan, a grouped one of the hidden states a step.

    Args:
        same: What directions have in common that are scanned together: the ``direction`` (each
            on its own), the ``axis`` (both senses of it), or the ``shape`` of their slabs.
    """

    def __init__(self, same: Literal["direction", "axis", "shape"]) -> None:
        self.same = same

    def groups(self, directions: Sequence[Direction], size: Sequence[int]) -> list[Group]:
        if self.same == "direction":
            return [[direction] for direction in directions]
        groups: dict[int | tuple[int, ...], list[Direction]] = {}
        for direction in directions:
            axis = direction.axis
            shape = (size[axis], *(side for other, side in enumerate(size) if other != axis))
            groups.setdefault(axis if self.same == "axis" else shape, []).append(direction)
        return list(groups.values())

    def forward(
        self, rows: Tensor, group: Group, weights: Weights, span: Span, state: State | None
    ) -> tuple[list[Tensor], list[Tensor], State]:
        width, groups, wide = weights.hidden, len(group), state_dtype(rows.dtype)
        inputs = input_parts(rows, group, weights, span)
        kernel, bias = recurrent(group, weights)
        gates = rows.new_empty(inputs.shape, dtype=wide)
        cells = rows.new_empty(*inputs.shape[:-1], width, dtype=wide)
        # narrow[t] is the hidden state before step t.
        narrow = rows.new_empty(len(cells) + 1, *cells.shape[1:])
        hidden = narrow[1:] if wide == rows.dtype else torch.empty_like(cells)
        before = None
        if state is not None:
            narrow[0], before = state
        for t in range(len(inputs)):
            gates[t] = inputs[t]
            if before is not None:
                h = images(narrow[t].flatten(-2))
                z = F.conv2d(h, kernel, bias, padding=weights.padding, groups=groups)
                gates[t] += z.permute(0, 2, 3, 1).view(gates[t].shape)
            cell.forward(gates[t], before, cells[t], hidden[t])
            before = cells[t]
            if wide != rows.dtype:
                narrow[t + 1] = hidden[t]
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
        groups = len(group)
        d_out = in_steps(grad, group, span, cells)
        kernel, _ = recurrent(group, weights)
        d_gates = rows.new_empty(gates.shape)
        wide = torch.empty_like(gates[0])
        d_hidden, d_cell = later or (None, None)
        cell_before = None if state is None else state.cell
        for t in range(len(gates) - 1, -1, -1):
            total = d_out[t] if d_hidden is None else d_hidden.add_(d_out[t])
            before = cells[t - 1] if t else cell_before
            d_cell = cell.backward(gates[t], before, cells[t], total, d_cell, wide)
            d_gates[t] = wide
            if before is not None:
                h = images(narrow[t].flatten(-2))
                d_z = images(d_gates[t].flatten(-2))
                d_h = input_gradient(d_z, h, kernel, weights.padding, groups)
                d_hidden = d_h.permute(0, 2, 3, 1).to(gates.dtype).view(total.shape)
        del gates, cells, wide, d_out
        result = gradients(rows, group, weights, span, state, narrow, d_gates, needs_rows)
        return result, state_gradients(state, d_hidden, d_cell)


def input_parts(rows: Tensor, group: Group, weights: Weights, span: Span) -> Tensor:
    """Wx * x + bx of all steps, (T, N, P, Q, G, 4 H), in the order in which the steps come."""
    width = weights.hidden
    shape = along(rows, group[0].axis)[span.first : span.last].shape[:-1]
    inputs = rows.new_empty(*shape, len(group), 4 * width)
    for (axis, first, last), members in _by_slabs(group, span).items():
        index = [group[place].number for place in members]
        kernel = picked(weights.x, index).contiguous(memory_format=torch.channels_last)
        z = F.conv2d(
            images(along(rows, axis)[first:last]),
            kernel,
            picked(weights.bias_x, index),
            padding=weights.padding,
        )
        z = z.permute(0, 2, 3, 1).reshape(*shape, len(members), 4 * width)
        for position, place in enumerate(members):
            part = z[..., position, :]
            inputs[..., place, :] = part.flip(0) if group[place].reverse else part
    return inputs


def recurrent(group: Group, weights: Weights) -> tuple[Tensor, Tensor]:
    """Wh and bh of a group, for a convolution of as many groups."""
    index = [member.number for member in group]
    kernel = picked(weights.h, index).contiguous(memory_format=torch.channels_last)
    return kernel, picked(weights.bias_h, index)


def in_order(hidden: Tensor, group: Group) -> list[Tensor]:
    """Of each direction the hidden states from the first slab to the last."""
    return [
        hidden[..., place, :].flip(0) if member.reverse else hidden[..., place, :]
        for place, member in enumerate(group)
    ]


def in_steps(grad: Tensor, group: Group, span: Span, cells: Tensor) -> Tensor:
    """The gradient of the sum, (N, D, H, W, H), as the steps of a group take it: as ``cells``."""
    d_out = torch.empty_like(cells)
    for place, member in enumerate(group):
        part = along(grad, member.axis)[span.slabs(member.reverse)]
        d_out[..., place, :] = part.flip(0) if member.reverse else part
    return d_out


def gradients(
    rows: Tensor,
    group: Group,
    weights: Weights,
    span: Span,
    state: State | None,
    narrow: Tensor,
    d_gates: Tensor,
    needs_rows: bool,
) -> Gradients:
    """Those of weights and input, once those of all pre-activations of a span are known.

    Args:
        rows: As for ``Strategy.backward``, with what follows.
        group: The directions.
        weights: Of all directions.
        span: The steps.
        state: Before the span.
        narrow: (T + 1, N, P, Q, G, H), the hidden states before every step and after the last.
        d_gates: (T, N, P, Q, G, 4 H).
        needs_rows: Whether the input's gradient is asked for.
    """
    width, groups = weights.hidden, len(group)
    kernel, _ = recurrent(group, weights)
    d_kernel = torch.zeros_like(kernel)
    begin = 1 if state is None else 0  # the scan's first step has no hidden state before it
    if len(d_gates) > begin:
        d_z = images(d_gates[begin:].flatten(-2))
        h = images(narrow[begin:-1].flatten(-2))
        d_kernel = kernel_gradient(d_z, h, weights.window, weights.padding, groups)
    d_kernel = d_kernel.view(groups, 4 * width, *kernel.shape[1:])
    result = Gradients([], [])
    for place, member in enumerate(group):
        part = d_gates[..., place, :]
        d_bias = bias_gradient(part)
        d_bias_h = d_bias if state is not None else d_bias - bias_gradient(part[0])
        d_z = images((part.flip(0) if member.reverse else part).contiguous())
        x = images(along(rows, member.axis)[span.slabs(member.reverse)])
        d_x = kernel_gradient(d_z, x, weights.window, weights.padding)
        result.weights.append((d_x, d_kernel[place], d_bias, d_bias_h))
        if needs_rows:
            own = weights.x[member.number].contiguous(memory_format=torch.channels_last)
            d_in = input_gradient(d_z, x, own, weights.padding).permute(0, 2, 3, 1)
            result.inputs.append(d_in.view(*part.shape[:-1], x.shape[1]))
    return result


def picked(stacked: Tensor, numbers: Sequence[int]) -> Tensor:
    """Those of stacked weights (directions, F, ...), one after the other: (len(numbers) F, ...).

    An index that is a list would be copied to the device, and the host would wait for it.
    """
    return torch.cat([stacked[number] for number in numbers])


def _by_slabs(group: Group, span: Span) -> dict[tuple[int, int, int], list[int]]:
    """Places in the group of directions whose steps of the span visit the same slabs.

    By axis, first slab and last slab (left out).
    """
    places: dict[tuple[int, int, int], list[int]] = {}
    for place, direction in enumerate(group):
        slabs = span.slabs(direction.reverse)
        places.setdefault((direction.axis, slabs.start, slabs.stop), []).append(place)
    return places
