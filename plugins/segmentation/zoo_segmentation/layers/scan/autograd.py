"""The sum of all scans as one differentiable function, with its own backward pass.

Forward: the strategy puts the directions into groups. Every group is scanned on its own, a CPU
core each, in spans of steps one after another; a span takes the rows (N, D, H, W, C) and the
state before it, and gives the hidden states (T, N, P, Q, H) of each of its directions and the
state after it. The hidden states of all directions are added up in rows (N, D, H, W, H).

Backward: every group again on its own, its spans from the last to the first. A span takes the
gradient of the sum, (N, D, H, W, H), and of the state after it, and gives those of the weights,
of the input, and of the state before it. With ``checkpoint`` a span's gates were not kept: it is
computed once more from the state before it, which was. Then only one span of each scan that is
under way lies in memory.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from zoo_segmentation.layers.scan.geometry import along, directions
from zoo_segmentation.layers.scan.parallel_map import parallel_map
from zoo_segmentation.layers.scan.strategy import Span, State, Strategy, Weights, state_dtype

SPANS = 4
"""More of them save little more memory, as the weights' gradients need some too, and cost time."""


def _spans(length: int, short: bool) -> list[Span]:
    """A scan's steps, in one span or in ``SPANS`` short ones."""
    size = math.ceil(length / SPANS) if short else length
    return [Span(first, min(first + size, length), length) for first in range(0, length, size)]


class SumOfScans(torch.autograd.Function):
    """The sum of all scans, rows to rows, by a strategy.

    Takes rows (N, D, H, W, C), the stacked weights of ``Weights``, a strategy, and whether to
    recompute in the backward pass; gives rows (N, D, H, W, H).
    """

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        weight_x: Tensor,
        weight_h: Tensor,
        bias_x: Tensor,
        bias_h: Tensor,
        strategy: Strategy,
        checkpoint: bool,
    ) -> Tensor:
        given = (weight_x, weight_h, bias_x, bias_h)
        weights = Weights(*(weight.to(rows.dtype) for weight in given))
        groups = strategy.groups(directions(len(weight_x) // 2), rows.shape[1:4])
        total = rows.new_zeros(*rows.shape[:-1], weights.hidden, dtype=state_dtype(rows.dtype))
        keep = not checkpoint and any(ctx.needs_input_grad)
        kept = []

        def scan(group: Any) -> Any:
            outputs, saved = [], []
            states: list[State | None] = []
            state = None
            # Nothing is kept to go backward either: then spans bound the memory of prediction.
            for span in _spans(rows.shape[1 + group[0].axis], not keep):
                states.append(state)
                hidden, parts, state = strategy.forward(rows, group, weights, span, state)
                outputs.append((span, hidden))
                saved.append(parts if keep else None)
                del parts  # before the next span's
            return group, outputs, states, saved

        for group, outputs, states, saved in parallel_map(scan, groups, rows.device):
            for span, hidden in outputs:
                for direction, part in zip(group, hidden, strict=True):
                    along(total, direction.axis)[span.slabs(direction.reverse)].add_(part)
            kept.append((group, states, saved))
        ctx.strategy, ctx.kept, ctx.short = strategy, kept, not keep
        ctx.dtypes = [weight.dtype for weight in given]
        ctx.save_for_backward(rows, *weights)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, *stacked = ctx.saved_tensors
        weights = Weights(*stacked)
        needs_rows = ctx.needs_input_grad[0]
        grad = grad.contiguous()
        d_rows = torch.zeros_like(rows, dtype=grad.dtype) if needs_rows else None
        d_weights = [
            torch.zeros_like(weight, dtype=dtype)
            for weight, dtype in zip(weights, ctx.dtypes, strict=True)
        ]
        strategy, kept = ctx.strategy, ctx.kept

        def scan(item: Any) -> Any:
            group, states, saved = item
            sums: list[list[Tensor]] = []
            inputs = []
            later = None
            spans = _spans(rows.shape[1 + group[0].axis], ctx.short)
            for number, span in reversed(list(enumerate(spans))):
                state, parts, saved[number] = states[number], saved[number], None
                if parts is None:  # by checkpointing, or in a second backward pass
                    parts = strategy.forward(rows, group, weights, span, state)[1]
                gradients, later = strategy.backward(
                    rows, group, weights, span, state, parts, grad, later, needs_rows
                )
                inputs.append((span, gradients.inputs))
                if not sums:
                    sums = [list(parts) for parts in gradients.weights]
                    continue
                for total, more in zip(sums, gradients.weights, strict=True):
                    for place, part in enumerate(more):
                        total[place] = total[place].to(state_dtype(part.dtype)) + part
            return group, sums, inputs

        for group, gradients, inputs in parallel_map(scan, kept, rows.device):
            for direction, parts in zip(group, gradients, strict=True):
                for d_weight, part in zip(d_weights, parts, strict=True):
                    d_weight[direction.number] = part
            if d_rows is not None:
                for span, parts in inputs:
                    for direction, part in zip(group, parts, strict=True):
                        along(d_rows, direction.axis)[span.slabs(direction.reverse)].add_(part)
        d_input = None if d_rows is None else d_rows.to(rows.dtype)
        return d_input, *d_weights, None, None
