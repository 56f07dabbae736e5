"""Ways to compute the same scans: what is hoisted out of them and which run together.

``dense`` convolves [x, h] concatenated, one convolution a step: fastest on a CPU, whose
convolutions are busy at any size. ``hoisted`` convolves the whole input at once before the
scan. ``paired`` does so with both senses of an axis in one grouped convolution a step, and
``grouped`` with all axes whose slabs have one shape: few, large launches for a GPU. All compute
their gradients themselves, the weights' in one convolution after the scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo_segmentation.layers import cell
from zoo_segmentation.layers.geometry import Direction, along, images, steps


class Weights(NamedTuple):
    """Weights of all directions, stacked; see ``PyramidLSTM``. c~'s are doubled."""

    x: Tensor  # (directions, 4 H, C, kP, kQ)
    h: Tensor  # (directions, 4 H, H, kP, kQ)
    bias_x: Tensor  # (directions, 4 H)
    bias_h: Tensor  # (directions, 4 H)

    @property
    def hidden(self) -> int:
        return self.h.shape[2]

    @property
    def padding(self) -> list[int]:
        return [self.h.shape[3] // 2, self.h.shape[4] // 2]


class Gradients(NamedTuple):
    """What a bundle's backward pass gives, for each of its directions in turn."""

    weights: list[tuple[Tensor, Tensor, Tensor, Tensor]]
    inputs: list[Tensor]
    """Sequences (T, N, P, Q, C) in natural order; empty where the input needs no gradient."""


Bundle = Sequence[Direction]


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

    def bundles(self, directions: Sequence[Direction], size: Sequence[int]) -> list[Bundle]:
        """Which directions are computed together, for volumes of size (D, H, W)."""
        ...

    def forward(
        self, rows: Tensor, bundle: Bundle, weights: Weights, span: Span, state: State | None
    ) -> tuple[list[Tensor], Any, State]:
        """The span's hidden states (T, N, P, Q, H) of each direction in natural order; what to
        save, a list; and the state after it.

        Args:
            state: The state before the span; None at the scan's beginning."""
        ...

    def backward(
        self,
        rows: Tensor,
        bundle: Bundle,
        weights: Weights,
        span: Span,
        state: State | None,
        saved: Any,
        grad: Tensor,
        later: State | None,
        needs: bool,
    ) -> tuple[Gradients, State | None]:
        """Gradients of the span, and of the state before it.

        Empties ``saved``, so that its memory is free as soon as it is not needed.

        Args:
            grad: Of the sum of the hidden states, rows (N, D, H, W, H).
            later: Gradients of the state after the span; None at the scan's end.
            needs: Whether the input's gradient is asked for."""
        ...


def state_dtype(dtype: torch.dtype) -> torch.dtype:
    """Of the cell and hidden states: never narrower than float32."""
    return torch.promote_types(dtype, torch.float32)


class Dense:
    """One convolution a step, over input and hidden state side by side."""

    def bundles(self, directions: Sequence[Direction], size: Sequence[int]) -> list[Bundle]:
        return [[direction] for direction in directions]

    def forward(
        self, rows: Tensor, bundle: Bundle, weights: Weights, span: Span, state: State | None
    ) -> tuple[list[Tensor], Any, State]:
        axis, reverse, index = bundle[0]
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
        bundle: Bundle,
        weights: Weights,
        span: Span,
        state: State | None,
        saved: Any,
        grad: Tensor,
        later: State | None,
        needs: bool,
    ) -> tuple[Gradients, State | None]:
        axis, reverse, index = bundle[0]
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
                d_h = _d_input(images(d_gates[t]), hidden, kernel, weights.padding)
                d_hidden = d_h.permute(0, 2, 3, 1).to(gates.dtype)
        del gates, cells, wide  # before the convolutions that need most
        d_z = images(d_gates)
        d_kernel = _d_weight(d_z, images(both), 4 * width, weights)
        d_bias = _sum(d_gates)
        d_bias_h = d_bias if state is not None else d_bias - _sum(d_gates[order[0]])
        inputs = []
        if needs:
            kernel = weights.x[index].contiguous(memory_format=torch.channels_last)
            d_x = _d_input(d_z, images(both)[:, :channels], kernel, weights.padding)
            inputs = [d_x.permute(0, 2, 3, 1).view(*both.shape[:-1], channels)]
        gradients = Gradients(
            [(d_kernel[:, :channels], d_kernel[:, channels:], d_bias, d_bias_h)], inputs
        )
        return gradients, _earlier(state, d_hidden, d_cell)


class Hoisted:
    """The input's convolutions before the scan; the hidden states' grouped, one a step.

    Args:
        together: ``one`` direction a scan, both senses of an ``axis``, or all axes whose slabs
            have one ``shape``.
    """

    def __init__(self, together: str) -> None:
        self.together = together

    def bundles(self, directions: Sequence[Direction], size: Sequence[int]) -> list[Bundle]:
        if self.together == "one":
            return [[direction] for direction in directions]
        found: dict[Any, list[Direction]] = {}
        for direction in directions:
            axis = direction.axis
            slab = (size[axis], *(side for other, side in enumerate(size) if other != axis))
            found.setdefault(axis if self.together == "axis" else slab, []).append(direction)
        return list(found.values())

    def forward(
        self, rows: Tensor, bundle: Bundle, weights: Weights, span: Span, state: State | None
    ) -> tuple[list[Tensor], Any, State]:
        width, groups, wide = weights.hidden, len(bundle), state_dtype(rows.dtype)
        shape = along(rows, bundle[0].axis)[span.first : span.last].shape[:-1]
        inputs = rows.new_empty(*shape, groups, 4 * width)
        for (axis, first, last), members in _by_slabs(bundle, span).items():
            index = [bundle[place].number for place in members]
            kernel = weights.x[index].flatten(0, 1).contiguous(memory_format=torch.channels_last)
            z = F.conv2d(
                images(along(rows, axis)[first:last]),
                kernel,
                weights.bias_x[index].flatten(),
                padding=weights.padding,
            )
            z = z.permute(0, 2, 3, 1).reshape(*shape, len(members), 4 * width)
            for position, place in enumerate(members):
                part = z[..., position, :]
                inputs[..., place, :] = part.flip(0) if bundle[place].reverse else part
        kernel, bias = self._recurrent(bundle, weights)
        gates = rows.new_empty(inputs.shape, dtype=wide)
        cells = rows.new_empty(*shape, groups, width, dtype=wide)
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
        outputs = [
            hidden[..., place, :].flip(0) if member.reverse else hidden[..., place, :]
            for place, member in enumerate(bundle)
        ]
        after = State(narrow[-1].clone(), cells[-1].clone())
        return outputs, [narrow, gates, cells], after

    def backward(
        self,
        rows: Tensor,
        bundle: Bundle,
        weights: Weights,
        span: Span,
        state: State | None,
        saved: Any,
        grad: Tensor,
        later: State | None,
        needs: bool,
    ) -> tuple[Gradients, State | None]:
        narrow, gates, cells = saved
        saved.clear()
        width, groups = weights.hidden, len(bundle)
        d_out = torch.empty_like(cells)
        for place, member in enumerate(bundle):
            part = along(grad, member.axis)[span.slabs(member.reverse)]
            d_out[..., place, :] = part.flip(0) if member.reverse else part
        kernel, _ = self._recurrent(bundle, weights)
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
                d_h = _d_input(d_z, h, kernel, weights.padding, groups)
                d_hidden = d_h.permute(0, 2, 3, 1).to(gates.dtype).view(total.shape)
        del gates, cells, wide, d_out
        d_kernel = torch.zeros_like(kernel)
        begin = 1 if state is None else 0  # the scan's first step has no hidden state before it
        if len(d_gates) > begin:
            d_z = images(d_gates[begin:].flatten(-2))
            h = images(narrow[begin:-1].flatten(-2))
            d_kernel = _d_weight(d_z, h, groups * 4 * width, weights, groups)
        d_kernel = d_kernel.view(groups, 4 * width, *kernel.shape[1:])
        result = Gradients([], [])
        for place, member in enumerate(bundle):
            part = d_gates[..., place, :]
            d_bias = _sum(part)
            d_bias_h = d_bias if state is not None else d_bias - _sum(part[0])
            d_z = images((part.flip(0) if member.reverse else part).contiguous())
            x = images(along(rows, member.axis)[span.slabs(member.reverse)])
            d_x = _d_weight(d_z, x, 4 * width, weights)
            result.weights.append((d_x, d_kernel[place], d_bias, d_bias_h))
            if needs:
                own = weights.x[member.number].contiguous(memory_format=torch.channels_last)
                d_in = _d_input(d_z, x, own, weights.padding).permute(0, 2, 3, 1)
                result.inputs.append(d_in.view(*part.shape[:-1], x.shape[1]))
        return result, _earlier(state, d_hidden, d_cell)

    @staticmethod
    def _recurrent(bundle: Bundle, weights: Weights) -> tuple[Tensor, Tensor]:
        index = [member.number for member in bundle]
        kernel = weights.h[index].flatten(0, 1)
        return (
            kernel.contiguous(memory_format=torch.channels_last),
            weights.bias_h[index].flatten(),
        )


def _by_slabs(bundle: Bundle, span: Span) -> dict[tuple[int, int, int], list[int]]:
    """Places in the bundle of directions whose steps of the span visit the same slabs."""
    found: dict[tuple[int, int, int], list[int]] = {}
    for place, direction in enumerate(bundle):
        slabs = span.slabs(direction.reverse)
        found.setdefault((direction.axis, slabs.start, slabs.stop), []).append(place)
    return found


def _earlier(state: State | None, d_hidden: Tensor | None, d_cell: Tensor | None) -> State | None:
    """Gradients of the state before a span, of which the scan's first has none."""
    if state is None:
        return None
    assert d_hidden is not None
    assert d_cell is not None
    return State(d_hidden, d_cell)


def _d_input(d_z: Tensor, x: Tensor, kernel: Tensor, padding: list[int], groups: int = 1) -> Tensor:
    return torch.ops.aten.convolution_backward(
        d_z, x, kernel, None, [1, 1], padding, [1, 1], False, [0, 0], groups, [True, False, False]
    )[0]


def _d_weight(d_z: Tensor, x: Tensor, out: int, weights: Weights, groups: int = 1) -> Tensor:
    shape = (out, x.shape[1] // groups, *weights.h.shape[-2:])
    kernel = x.new_empty(shape)
    return torch.ops.aten.convolution_backward(
        d_z,
        x,
        kernel,
        None,
        [1, 1],
        weights.padding,
        [1, 1],
        False,
        [0, 0],
        groups,
        [False, True, False],
    )[1]


def _sum(d_gates: Tensor) -> Tensor:
    return d_gates.flatten(0, -2).sum(0, dtype=state_dtype(d_gates.dtype))


STRATEGIES: dict[str, Strategy] = {
    "dense": Dense(),
    "hoisted": Hoisted("one"),
    "paired": Hoisted("axis"),
    "grouped": Hoisted("shape"),
}
