"""The gates of one step of a convolutional LSTM, forward and backward, in place.

Channels come last and the four gates lie side by side in the order i, f, o, c~. The
pre-activation of c~ is doubled by the caller, so that one sigmoid serves all four:
tanh(z) = 2 sigmoid(2 z) - 1. On a CPU a sigmoid is about ten times faster than a tanh.
"""

from __future__ import annotations

import torch
from torch import Tensor


def forward(gates: Tensor, before: Tensor | None, cell: Tensor, hidden: Tensor) -> None:
    """One step: turns pre-activations into gates, and writes the new states.

    Args:
        gates: (..., 4 H) pre-activations in the states' dtype; sigmoids of them afterwards.
        before: (..., H) the cell state before; None at the first step, where it is 0.
        cell: (..., H) takes the new cell state.
        hidden: (..., H) takes the new hidden state.
    """
    gates.sigmoid_()
    i, f, o, g = gates.split(cell.shape[-1], dim=-1)
    negative = torch.addcmul(i, i, g, value=-2)  # -(i * c~)
    if before is None:
        torch.neg(negative, out=cell)
    else:
        torch.mul(f, before, out=cell).sub_(negative)
    half = torch.mul(cell, 2).sigmoid_()
    torch.addcmul(o, o, half, value=-2, out=hidden).neg_()


def backward(
    gates: Tensor,
    before: Tensor | None,
    cell: Tensor,
    d_hidden: Tensor,
    d_cell: Tensor | None,
    d_gates: Tensor,
) -> Tensor:
    """The step's gradients.

    Args:
        gates: (..., 4 H) as ``forward`` left them.
        before: (..., H) the cell state before, or None.
        cell: (..., H) the cell state after.
        d_hidden: (..., H) gradient of the hidden state after.
        d_cell: (..., H) gradient of the cell state after, from later steps; overwritten.
        d_gates: (..., 4 H) takes the gradient of the pre-activations.

    Returns:
        (..., H) gradient of the cell state before.
    """
    width = cell.shape[-1]
    i, f, o, g = gates.split(width, dim=-1)
    d_i, d_f, d_o, d_g = d_gates.split(width, dim=-1)
    squashed = torch.mul(cell, 2).sigmoid_().mul_(2).sub_(1)  # tanh(cell)
    torch.mul(d_hidden, squashed, out=d_o)
    through = d_hidden * o
    squashed.square_()
    if d_cell is None:
        d_cell = torch.addcmul(through, through, squashed, value=-1)
    else:
        d_cell.add_(through).addcmul_(through, squashed, value=-1)
    torch.mul(d_cell, g, out=d_i).mul_(2).sub_(d_cell)
    torch.mul(d_cell, i, out=d_g).mul_(2)
    if before is None:
        d_f.zero_()
    else:
        torch.mul(d_cell, before, out=d_f)
    d_gates.mul_(gates).addcmul_(d_gates, gates, value=-1)
    return d_cell.mul_(f)
