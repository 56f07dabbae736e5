"""A scan as one operation of a graph, for torch.export and ONNX."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._higher_order_ops.scan import scan  # torch has no other door to it yet


def graph_scan(
    volume: Tensor,
    weights: tuple[Tensor, Tensor],
    biases: tuple[Tensor, Tensor],
    axis: int,
    reverse: bool,
) -> Tensor:
    """One convolutional LSTM along an axis, as ``PyramidLSTM.scan`` computes it.

    In a graph the loop is one node, whatever the axis' length: torch's scan, ONNX's ``Scan``.

    Args:
        volume: (N, C, D, H, W).
        weights: Of the slabs and of the state, (4 hidden, C or hidden, k, k) each.
        biases: Likewise, (4 hidden) each; that of the state does not count at the first slab.
        axis: Of the volume, 2 to 4.
        reverse: Whether it goes from the last slab to the first.

    Returns:
        (N, hidden, D, H, W).
    """
    weight_x, weight_h = weights
    padding = [side // 2 for side in weight_x.shape[-2:]]
    slabs = volume.movedim(axis, 0)
    steps, batch, channels, tall, wide = slabs.shape
    # All slabs' own part at once; with the bias of the state wherever there is one.
    flat = slabs.reshape(steps * batch, channels, tall, wide)
    own = F.conv2d(flat, weight_x, biases[0], padding=padding)
    own = own.reshape(steps, batch, -1, tall, wide)
    first = steps - 1 if reverse else 0
    counts = (torch.arange(steps, device=volume.device) != first).to(own.dtype)
    own = own + counts.view(-1, 1, 1, 1, 1) * biases[1].view(1, 1, -1, 1, 1)

    def step(state: tuple[Tensor, Tensor], x: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        h, c = state
        i, f, o, g = (x + F.conv2d(h, weight_h, padding=padding)).chunk(4, dim=1)
        c = i.sigmoid() * g.tanh() + f.sigmoid() * c
        h = o.sigmoid() * c.tanh()
        return (h, c), h.clone()

    zeros = own.new_zeros(batch, own.shape[2] // 4, tall, wide)
    _, states = scan(step, (zeros, zeros.clone()), own, reverse=reverse)
    result: Tensor = states.movedim(0, axis)
    return result
