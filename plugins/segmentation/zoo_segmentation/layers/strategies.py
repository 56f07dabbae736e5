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


class Strategy(Protocol):
    """How the scans of a layer are computed."""

    def bundles(self, directions: Sequence[Direction], size: Sequence[int]) -> list[Bundle]:
        """Which directions are computed together, for volumes of size (D, H, W)."""
        ...

    def forward(self, rows: Tensor, bundle: Bundle, weights: Weights) -> tuple[list[Tensor], Any]:
        """Hidden states (T, N, P, Q, H) of each direction in natural order, and what to save,
        a list."""
        ...

    def backward(
        self, rows: Tensor, bundle: Bundle, weights: Weights, saved: Any, grad: Tensor, needs: bool
    ) -> Gradients:
        """Gradients, from those of the sum of the hidden states, rows (N, D, H, W, H).

        Empties ``saved``, so that its memory is free as soon as it is not needed."""
        ...


def state_dtype(dtype: torch.dtype) -> torch.dtype:
    """Of the cell and hidden states: never narrower than float32."""
    return torch.promote_types(dtype, torch.float32)


class Dense:
    """One convolution a step, over input and hidden state side by side."""

    def bundles(self, directions: Sequence[Direction], size: Sequence[int]) -> list[Bundle]:
        return [[direction] for direction in directions]

    def forward(self, rows: Tensor, bundle: Bundle, weights: Weights) -> tuple[list[Tensor], Any]:
        axis, reverse, index = bundle[0]
        x = along(rows, axis)
        length, width, wide = len(x), weights.hidden, state_dtype(rows.dtype)
        channels = x.shape[-1]
        both = rows.new_empty(*x.shape[:-1], channels + width)
        both[..., :channels] = x
        gates = rows.new_empty(*x.shape[:-1], 4 * width, dtype=wide)
        cells = rows.new_empty(*x.shape[:-1], width, dtype=wide)
        hidden = torch.empty_like(cells)
        kernel = torch.cat((weights.x[index], weights.h[index]), dim=1)
        kernel = kernel.contiguous(memory_format=torch.channels_last)
        bias = weights.bias_x[index] + weights.bias_h[index]
        before: int | None = None
        for t in steps(length, reverse):
            if before is None:
                both[t, ..., channels:] = 0
                bias_t = weights.bias_x[index]
            else:
                both[t, ..., channels:] = hidden[before]
                bias_t = bias
            z = F.conv2d(images(both[t]), kernel, bias_t, padding=weights.padding)
            gates[t] = z.permute(0, 2, 3, 1)
            cell.forward(gates[t], None if before is None else cells[before], cells[t], hidden[t])
            before = t
        return [hidden], [both, gates, cells]

    def backward(
        self, rows: Tensor, bundle: Bundle, weights: Weights, saved: Any, grad: Tensor, needs: bool
    ) -> Gradients:
        axis, reverse, index = bundle[0]
        both, gates, cells = saved
        saved.clear()
        d_out = along(grad, axis)
        length, width = len(d_out), weights.hidden
        channels = both.shape[-1] - width
        kernel = weights.h[index].contiguous(memory_format=torch.channels_last)
        d_gates = rows.new_empty(gates.shape)
        wide = torch.empty_like(gates[0])
        d_cell = d_hidden = None
        order = list(steps(length, reverse))
        for position in range(length - 1, -1, -1):
            t = order[position]
            total = d_out[t] if d_hidden is None else d_hidden.add_(d_out[t])
            before = cells[order[position - 1]] if position else None
            d_cell = cell.backward(gates[t], before, cells[t], total, d_cell, wide)
            d_gates[t] = wide
            if position:
                hidden = images(both[t])[:, channels:]
                d_h = _d_input(images(d_gates[t]), hidden, kernel, weights.padding)
                d_hidden = d_h.permute(0, 2, 3, 1).to(gates.dtype)
        del gates, cells, wide, d_cell, d_hidden  # before the convolutions that need most
        d_z = images(d_gates)
        d_kernel = _d_weight(d_z, images(both), 4 * width, weights)
        d_bias = _sum(d_gates)
        d_bias_h = d_bias - _sum(d_gates[order[0]])
        inputs = []
        if needs:
            kernel = weights.x[index].contiguous(memory_format=torch.channels_last)
            d_x = _d_input(d_z, images(both)[:, :channels], kernel, weights.padding)
            inputs = [d_x.permute(0, 2, 3, 1).view(*both.shape[:-1], channels)]
        return Gradients(
            [(d_kernel[:, :channels], d_kernel[:, channels:], d_bias, d_bias_h)], inputs
        )


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

    def forward(self, rows: Tensor, bundle: Bundle, weights: Weights) -> tuple[list[Tensor], Any]:
        width, groups, wide = weights.hidden, len(bundle), state_dtype(rows.dtype)
        shape = along(rows, bundle[0].axis).shape[:-1]
        inputs = rows.new_empty(*shape, groups, 4 * width)
        place = 0
        for axis, members in _by_axis(bundle):
            index = [member.number for member in members]
            kernel = weights.x[index].flatten(0, 1).contiguous(memory_format=torch.channels_last)
            z = F.conv2d(
                images(along(rows, axis)),
                kernel,
                weights.bias_x[index].flatten(),
                padding=weights.padding,
            )
            z = z.permute(0, 2, 3, 1).reshape(*shape, len(members), 4 * width)
            for position, member in enumerate(members):
                part = z[..., position, :]
                inputs[..., place, :] = part.flip(0) if member.reverse else part
                place += 1
        kernel, bias = self._recurrent(bundle, weights)
        gates = rows.new_empty(inputs.shape, dtype=wide)
        cells = rows.new_empty(*shape, groups, width, dtype=wide)
        hidden = torch.empty_like(cells)
        narrow = hidden if wide == rows.dtype else rows.new_empty(hidden.shape)
        for t in range(len(inputs)):
            gates[t] = inputs[t]
            if t:
                h = images(narrow[t - 1].flatten(-2))
                z = F.conv2d(h, kernel, bias, padding=weights.padding, groups=groups)
                gates[t] += z.permute(0, 2, 3, 1).view(gates[t].shape)
            cell.forward(gates[t], cells[t - 1] if t else None, cells[t], hidden[t])
            if narrow is not hidden:
                narrow[t] = hidden[t]
        outputs = [
            hidden[..., place, :].flip(0) if member.reverse else hidden[..., place, :]
            for place, member in enumerate(bundle)
        ]
        return outputs, [narrow, gates, cells]

    def backward(
        self, rows: Tensor, bundle: Bundle, weights: Weights, saved: Any, grad: Tensor, needs: bool
    ) -> Gradients:
        narrow, gates, cells = saved
        saved.clear()
        width, groups = weights.hidden, len(bundle)
        d_out = torch.empty_like(cells)
        for place, member in enumerate(bundle):
            part = along(grad, member.axis)
            d_out[..., place, :] = part.flip(0) if member.reverse else part
        kernel, _ = self._recurrent(bundle, weights)
        d_gates = rows.new_empty(gates.shape)
        wide = torch.empty_like(gates[0])
        d_cell = d_hidden = None
        for t in range(len(gates) - 1, -1, -1):
            total = d_out[t] if d_hidden is None else d_hidden.add_(d_out[t])
            before = cells[t - 1] if t else None
            d_cell = cell.backward(gates[t], before, cells[t], total, d_cell, wide)
            d_gates[t] = wide
            if t:
                h = images(narrow[t - 1].flatten(-2))
                d_z = images(d_gates[t].flatten(-2))
                d_h = _d_input(d_z, h, kernel, weights.padding, groups)
                d_hidden = d_h.permute(0, 2, 3, 1).to(gates.dtype).view(total.shape)
        del gates, cells, wide, d_cell, d_hidden, d_out
        d_kernel = torch.zeros_like(kernel)
        if len(d_gates) > 1:
            d_z = images(d_gates[1:].flatten(-2))
            h = images(narrow[:-1].flatten(-2))
            d_kernel = _d_weight(d_z, h, groups * 4 * width, weights, groups)
        d_kernel = d_kernel.view(groups, 4 * width, *kernel.shape[1:])
        result = Gradients([], [])
        for place, member in enumerate(bundle):
            part = d_gates[..., place, :]
            first = _sum(part[0])
            d_bias = _sum(part)
            d_z = images((part.flip(0) if member.reverse else part).contiguous())
            x = images(along(rows, member.axis))
            d_x = _d_weight(d_z, x, 4 * width, weights)
            result.weights.append((d_x, d_kernel[place], d_bias, d_bias - first))
            if needs:
                own = weights.x[member.number].contiguous(memory_format=torch.channels_last)
                d_in = _d_input(d_z, x, own, weights.padding).permute(0, 2, 3, 1)
                result.inputs.append(d_in.view(*part.shape[:-1], x.shape[1]))
        return result

    @staticmethod
    def _recurrent(bundle: Bundle, weights: Weights) -> tuple[Tensor, Tensor]:
        index = [member.number for member in bundle]
        kernel = weights.h[index].flatten(0, 1)
        return (
            kernel.contiguous(memory_format=torch.channels_last),
            weights.bias_h[index].flatten(),
        )


def _by_axis(bundle: Bundle) -> list[tuple[int, list[Direction]]]:
    axes: dict[int, list[Direction]] = {}
    for direction in bundle:
        axes.setdefault(direction.axis, []).append(direction)
    return list(axes.items())


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
