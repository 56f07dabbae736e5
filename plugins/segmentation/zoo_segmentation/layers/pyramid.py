"""PyraMiD-LSTM: one convolutional LSTM along every axis and sense, summed.

Stollenga, Byeon, Liwicki, Schmidhuber: Parallel Multi-Dimensional LSTM, With Application to Fast
Biomedical Volumetric Image Segmentation, NIPS 2015 (arXiv:1506.07452), section 3.
"""

from __future__ import annotations

import math
import time
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint as recompute

from zoo_segmentation.layers.geometry import Direction, along, directions, images, steps
from zoo_segmentation.layers.side_by_side import each
from zoo_segmentation.layers.strategies import (
    STRATEGIES,
    Span,
    State,
    Strategy,
    Weights,
    state_dtype,
)

StrategyName = Literal["auto", "measured", "loop", "dense", "hoisted", "paired", "grouped"]


class PyramidLSTM(nn.Module):
    """Convolutional LSTMs along every axis, in both senses, summed.

    The states of one slab see a ``kernel_size`` window of the slab before, so that a voxel sees
    a pyramid along every direction: together the whole volume. Of slab x_t::

        i, f, o = sigmoid(Wx * x_t + bx + Wh * h_{t-1} + bh)
        c~      = tanh   (likewise)
        c_t     = i c~ + f c_{t-1}
        h_t     = o tanh(c_t)

    with ``*`` a zero-padded cross-correlation; at t = 0 the terms of Wh and bh are left out.
    There are no peepholes. States are float32 also under autocast, which decides the dtype of
    the convolutions; then the output is float32.

    The parameters are stacked over the directions, in the order +D, -D, +H, -H, +W, -W (without
    the first two for images), and hold the gates in the order i, f, o, c~: ``weight_x``
    (directions, 4 hidden, in_channels, k, k), ``weight_h`` (directions, 4 hidden, hidden, k, k),
    ``bias_x`` and ``bias_h`` (directions, 4 hidden); for images the kernels are (1, k). They
    begin at U(-0.1, 0.1), as in the paper, and the biases at 0.

    Args:
        in_channels: Channels of the input.
        hidden: Channels of the states and of the output.
        kernel_size: Side of the convolutions' windows, odd.
        spatial_dims: 3 for volumes, 2 for images.
        checkpoint: Recompute the scans in the backward pass, a quarter of their length at a
            time, instead of keeping all states: a forward pass more, for the memory of one
            quarter (on a CPU: of as many as torch has threads) and the states between them.
        strategy: How the scans are computed. ``auto``: ``dense`` on a CPU and ``grouped`` on
            other devices. ``measured``:
            whichever is fastest on this machine at the sizes of the first input; then rounding,
            in which alone they differ, may differ from run to run.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        kernel_size: int,
        spatial_dims: int = 3,
        checkpoint: bool = False,
        strategy: StrategyName = "auto",
    ) -> None:
        super().__init__()
        if in_channels < 1 or hidden < 1:
            raise ValueError(f"in_channels {in_channels} and hidden {hidden} have to be 1 or more")
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size {kernel_size} has to be odd, to keep the slabs' size")
        if spatial_dims not in (2, 3):
            raise ValueError(f"spatial_dims {spatial_dims} has to be 2 or 3")
        if strategy not in ("auto", "measured", "loop", *STRATEGIES):
            raise ValueError(
                f"strategy {strategy!r}; there are auto, loop, {', '.join(STRATEGIES)}"
            )
        self.in_channels = in_channels
        self.hidden = hidden
        self.kernel_size = kernel_size
        self.spatial_dims = spatial_dims
        self.checkpoint = checkpoint
        self.strategy = strategy
        count = 2 * spatial_dims
        kernel = (1 if spatial_dims == 2 else kernel_size, kernel_size)
        self.weight_x = nn.Parameter(torch.empty(count, 4 * hidden, in_channels, *kernel))
        self.weight_h = nn.Parameter(torch.empty(count, 4 * hidden, hidden, *kernel))
        self.bias_x = nn.Parameter(torch.empty(count, 4 * hidden))
        self.bias_h = nn.Parameter(torch.empty(count, 4 * hidden))
        self._fastest: str | None = None
        self.reset_parameters()

    def reset_parameters(self, bound: float = 0.1) -> None:
        """Weights from U(-bound, bound), biases 0."""
        for weight in (self.weight_x, self.weight_h):
            nn.init.uniform_(weight, -bound, bound)
        for bias in (self.bias_x, self.bias_h):
            nn.init.zeros_(bias)

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.hidden}, kernel_size={self.kernel_size}, "
            f"spatial_dims={self.spatial_dims}, strategy={self.strategy}"
        )

    def forward(self, x: Tensor) -> Tensor:
        """Scan.

        Args:
            x: (N, in_channels, D, H, W), or (N, in_channels, H, W) for images; any size.

        Returns:
            (N, hidden, D, H, W) or (N, hidden, H, W), in channels-last layout.
        """
        if x.ndim != self.spatial_dims + 2 or x.shape[1] != self.in_channels:
            wanted = "(N, {}, {})".format(self.in_channels, "D, H, W"[-3 * self.spatial_dims + 2 :])
            raise ValueError(f"the input has shape {tuple(x.shape)}; it has to be {wanted}")
        mixed = torch.is_autocast_enabled(x.device.type)
        compute = torch.get_autocast_dtype(x.device.type) if mixed else x.dtype
        volume = x.unsqueeze(2) if self.spatial_dims == 2 else x
        rows = volume.permute(0, 2, 3, 4, 1).to(compute).contiguous()
        name: str = self.strategy
        if name == "auto":
            name = "dense" if x.device.type == "cpu" else "grouped"
        elif name == "measured":
            if self._fastest is None:
                times = self.measure(rows)
                self._fastest = min(times, key=times.__getitem__)
            name = self._fastest
        result = self._compute(rows, name)
        result = result.permute(0, 4, 1, 2, 3).to(torch.float32 if mixed else x.dtype)
        return result.squeeze(2) if self.spatial_dims == 2 else result

    def measure(self, rows: Tensor, repeats: int = 2) -> dict[str, float]:
        """Time every strategy, forward and backward.

        Args:
            rows: (N, D, H, W, in_channels) in the dtype of the convolutions.
            repeats: Timings of each, after one to warm up; the best counts.

        Returns:
            Seconds by name of strategy.
        """
        rows = rows.detach().requires_grad_()
        times = {}
        for name in STRATEGIES:
            taken = []
            for _ in range(repeats + 1):
                _wait(rows.device)
                start = time.perf_counter()
                with torch.enable_grad():
                    total = self._compute(rows, name).sum()
                torch.autograd.grad(total, [rows, *self.parameters()])
                _wait(rows.device)
                taken.append(time.perf_counter() - start)
            times[name] = min(taken[1:])
        return times

    def _compute(self, rows: Tensor, name: str) -> Tensor:
        if name == "loop":
            return self._loop(rows)
        double = self.bias_x.new_ones(4, 1)
        double[3] = 2
        double = double.expand(4, self.hidden).reshape(-1)
        return _Scans.apply(
            rows,
            self.weight_x * double.view(-1, 1, 1, 1),
            self.weight_h * double.view(-1, 1, 1, 1),
            self.bias_x * double,
            self.bias_h * double,
            STRATEGIES[name],
            self.spatial_dims,
            self.checkpoint and torch.is_grad_enabled(),
        )

    def _loop(self, rows: Tensor) -> Tensor:
        total: Tensor | None = None
        for direction in directions(self.spatial_dims):
            if self.checkpoint and torch.is_grad_enabled():
                hidden = recompute(self._one, rows, direction, use_reentrant=False)
            else:
                hidden = self._one(rows, direction)
            total = hidden if total is None else total + hidden
        assert total is not None
        return total

    def _one(self, rows: Tensor, direction: Direction) -> Tensor:
        """One direction as the equations have it, a step at a time, by autograd."""
        index = direction.number
        sequence = along(rows, direction.axis)
        wide = state_dtype(rows.dtype)
        weights = [self.weight_x[index], self.weight_h[index]]
        biases = [self.bias_x[index], self.bias_h[index]]
        padding = [side // 2 for side in self.weight_x.shape[-2:]]
        outputs: list[Tensor] = [rows] * len(sequence)
        h = c = None
        for t in steps(len(sequence), direction.reverse):
            z = F.conv2d(images(sequence[t]), weights[0], biases[0], padding=padding)
            if h is not None:
                z = z + F.conv2d(h.to(rows.dtype), weights[1], biases[1], padding=padding)
            i, f, o, g = z.to(wide).chunk(4, dim=1)
            c = i.sigmoid() * g.tanh() + (0 if c is None else f.sigmoid() * c)
            h = o.sigmoid() * c.tanh()
            outputs[t] = h
        hidden = torch.stack(outputs)  # (T, N, H, P, Q)
        return hidden.permute(1, 0, 3, 4, 2).movedim(1, 1 + direction.axis)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


SPANS = 4
"""More of them save little more memory, as the weights' gradients need some too, and cost time."""


def _spans(length: int, short: bool) -> list[Span]:
    """A scan's steps, in one span or in `SPANS` short ones."""
    size = math.ceil(length / SPANS) if short else length
    return [Span(first, min(first + size, length), length) for first in range(0, length, size)]


class _Scans(torch.autograd.Function):
    """The sum of all scans, rows to rows, by a strategy, with its own backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        weight_x: Tensor,
        weight_h: Tensor,
        bias_x: Tensor,
        bias_h: Tensor,
        strategy: Strategy,
        spatial_dims: int,
        checkpoint: bool,
    ) -> Tensor:
        narrow = (weight_x, weight_h, bias_x, bias_h)
        weights = Weights(*(weight.to(rows.dtype) for weight in narrow))
        bundles = strategy.bundles(directions(spatial_dims), rows.shape[1:4])
        total = rows.new_zeros(*rows.shape[:-1], weights.hidden, dtype=state_dtype(rows.dtype))
        keep = not checkpoint and any(ctx.needs_input_grad)
        kept = []

        def scan(bundle: Any) -> Any:
            outputs, saved = [], []
            states: list[State | None] = []
            state = None
            # Nothing is kept to go backward either: then spans bound the memory of prediction.
            for span in _spans(rows.shape[1 + bundle[0].axis], not keep):
                states.append(state)
                hidden, parts, state = strategy.forward(rows, bundle, weights, span, state)
                outputs.append((span, hidden))
                saved.append(parts if keep else None)
                del parts  # before the next span's
            return bundle, outputs, states, saved

        for bundle, outputs, states, saved in each(scan, bundles, rows.device):
            for span, hidden in outputs:
                for direction, part in zip(bundle, hidden, strict=True):
                    along(total, direction.axis)[span.slabs(direction.reverse)].add_(part)
            kept.append((bundle, states, saved))
        ctx.strategy, ctx.kept, ctx.short = strategy, kept, not keep
        ctx.dtypes = [weight.dtype for weight in narrow]
        ctx.save_for_backward(rows, *weights)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, *stacked = ctx.saved_tensors
        weights = Weights(*stacked)
        needs = ctx.needs_input_grad[0]
        grad = grad.contiguous()
        d_rows = torch.zeros_like(rows, dtype=grad.dtype) if needs else None
        result = [
            torch.zeros_like(weight, dtype=dtype)
            for weight, dtype in zip(weights, ctx.dtypes, strict=True)
        ]
        strategy, kept = ctx.strategy, ctx.kept

        def scan(item: Any) -> Any:
            bundle, states, saved = item
            total: list[list[Tensor]] = []
            inputs = []
            later = None
            spans = _spans(rows.shape[1 + bundle[0].axis], ctx.short)
            for number, span in reversed(list(enumerate(spans))):
                state, parts, saved[number] = states[number], saved[number], None
                if parts is None:  # by checkpointing, or in a second backward pass
                    parts = strategy.forward(rows, bundle, weights, span, state)[1]
                gradients, later = strategy.backward(
                    rows, bundle, weights, span, state, parts, grad, later, needs
                )
                inputs.append((span, gradients.inputs))
                if not total:
                    total = [list(parts) for parts in gradients.weights]
                    continue
                for sums, more in zip(total, gradients.weights, strict=True):
                    for place, part in enumerate(more):
                        sums[place] = sums[place].to(state_dtype(part.dtype)) + part
            return bundle, total, inputs

        for bundle, gradients, inputs in each(scan, kept, rows.device):
            for direction, parts in zip(bundle, gradients, strict=True):
                for stacked_total, part in zip(result, parts, strict=True):
                    stacked_total[direction.number] = part
            if d_rows is not None:
                for span, parts in inputs:
                    for direction, part in zip(bundle, parts, strict=True):
                        along(d_rows, direction.axis)[span.slabs(direction.reverse)].add_(part)
        d_input = None if d_rows is None else d_rows.to(rows.dtype)
        return d_input, *result, None, None, None
