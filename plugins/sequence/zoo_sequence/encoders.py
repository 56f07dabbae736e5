"""Recurrent encoders of sequences of unequal lengths."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Kind = Literal["lstm", "gru", "rnn", "minlstm"]
KINDS = ("lstm", "gru", "rnn", "minlstm")


class MinLSTM(nn.Module):
    """The minimal LSTM, whose gates see the input alone, so that all steps are computed at once.

    h(t) = f' h(t-1) + i' W x(t), with f' = f / (f + i) and i' = i / (f + i). Source: Feng and
    others: Were RNNs All We Needed?, 2024 (arXiv:2410.01201), appendix B, in logarithms.

    Args:
        features: Numbers of a step.
        hidden: Units.
    """

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.gates = nn.Linear(features, 3 * hidden)

    def forward(self, inputs: Tensor) -> tuple[Tensor, None]:
        """(N, T, features) to (N, T, hidden)."""
        forget, enter, value = self.gates(inputs).chunk(3, -1)
        ratio = F.softplus(-forget) - F.softplus(-enter)
        log_forget, log_enter = -F.softplus(ratio), -F.softplus(-ratio)
        positive = torch.where(value >= 0, value + 0.5, value.sigmoid()).log()
        kept = log_forget.cumsum(1)
        states = (kept + (log_enter + positive - kept).logcumsumexp(1)).exp()
        return states, None


def recurrent_layer(kind: Kind, features: int, hidden: int) -> nn.Module:
    """One layer in one direction, (N, T, features) to (N, T, hidden)."""
    if kind == "minlstm":
        return MinLSTM(features, hidden)
    cls = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[kind]
    layer: nn.Module = cls(features, hidden, batch_first=True)
    return layer


def gate_biases(layer: nn.LSTM) -> tuple[Tensor, Tensor]:
    """``bias_ih`` and ``bias_hh`` of an LSTM's first layer: they are added to each other, and hold
    input, forget, cell and output gates in that order."""
    biases = dict(layer.named_parameters())
    return biases["bias_ih_l0"], biases["bias_hh_l0"]


class Encoder(nn.Module):
    """Layers of recurrent units, in one direction (streaming) or in both.

    The backward direction begins at each sequence's own end, not in its padding.

    Args:
        features: Numbers of a step.
        hidden: Units of a layer and direction.
        layers: How many.
        kind: ``lstm``, ``gru``, ``rnn`` (tanh) or ``minlstm``.
        bidirectional: Both directions.
        dropout: Between layers and behind the last.
    """

    def __init__(
        self,
        features: int,
        hidden: int,
        layers: int = 1,
        kind: Kind = "lstm",
        bidirectional: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.directions = 2 if bidirectional else 1
        self.width = hidden * self.directions
        sizes = [features] + [self.width] * (layers - 1)
        self.layers = nn.ModuleList(
            nn.ModuleList(recurrent_layer(kind, size, hidden) for _ in range(self.directions))
            for size in sizes
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, T, features) to (N, T, width); ``lengths`` (N,) of the sequences, None for T."""
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleList)
            outputs = [layer[0](inputs)[0]]
            if self.directions == 2:
                outputs.append(
                    reversed_in_time(layer[1](reversed_in_time(inputs, lengths))[0], lengths)
                )
            inputs = self.dropout(torch.cat(outputs, 2))
        return inputs


def reversed_in_time(sequences: Tensor, lengths: Tensor | None) -> Tensor:
    """Each sequence of (N, T, ...) back to front, its padding where it was."""
    if lengths is None:
        return sequences.flip(1)
    steps = torch.arange(sequences.shape[1], device=sequences.device)
    ends = lengths.to(sequences.device)[:, None]
    places = torch.where(steps < ends, ends - 1 - steps, steps)
    return sequences.gather(1, places[..., None].expand_as(sequences))
