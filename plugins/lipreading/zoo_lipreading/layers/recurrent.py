"""LSTM layers over clips of different length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from zoo_lipreading.layers.masking import placed_like


class Recurrent(nn.Module):
    """A stack of LSTM layers whose result does not depend on what follows a clip's end.

    Args:
        in_features: Length of a frame's vector.
        sizes: Units of each layer, in each direction.
        bidirectional: Also read the clip backwards.
        dropout: Rate between layers and on the output.
        output_dropout: Rate on the output where it is another one.
    """

    def __init__(
        self,
        in_features: int,
        sizes: Sequence[int],
        bidirectional: bool,
        dropout: float,
        output_dropout: float | None = None,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for size in sizes:
            self.layers.append(
                nn.LSTM(in_features, size, batch_first=True, bidirectional=bidirectional)
            )
            in_features = size * (2 if bidirectional else 1)
        self.bidirectional = bidirectional
        self.dropout = nn.Dropout(dropout)
        self.output_dropout = nn.Dropout(dropout if output_dropout is None else output_dropout)
        self.features = in_features

    def forward(self, sequence: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Read clips.

        Args:
            sequence: (N, T, in_features), padded.
            lengths: int64 (N,), frames of each clip; None where all are T long.

        Returns:
            Outputs (N, T, features), zero after a clip's end if it is bidirectional, and the
            last layer's state after the whole clip, (N, features): of the forward direction at
            the last valid frame, of the backward one at the first.
        """
        last = sequence[:, -1]
        for index, layer in enumerate(self.layers, 1):
            sequence, last = self._layer(cast("nn.LSTM", layer), sequence, lengths)
            final = index == len(self.layers)
            sequence = (self.output_dropout if final else self.dropout)(sequence)
        return sequence, self.output_dropout(last)

    def _layer(
        self, layer: nn.LSTM, sequence: Tensor, lengths: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        if lengths is not None and self.bidirectional:
            # Sorted here: torch would hold the host up by a copy of the order to the GPU.
            falling, order = lengths.cpu().sort(descending=True)
            back = placed_like(order.argsort(), sequence)
            ordered = sequence.index_select(0, placed_like(order, sequence))
            packed = pack_padded_sequence(ordered, falling, batch_first=True)
            outputs, (state, _) = layer(packed)
            padded, _ = pad_packed_sequence(
                outputs, batch_first=True, total_length=sequence.shape[1]
            )
            states = torch.cat([state[0], state[1]], dim=1)
            return padded.index_select(0, back), states.index_select(0, back)
        outputs, (state, _) = layer(sequence)
        if lengths is None:
            return outputs, torch.cat(list(state), dim=1)
        # Forwards, padding comes after the last valid frame and cannot reach it: the same as
        # packing, and twice as fast on a CPU.
        ends = placed_like(lengths - 1, outputs)
        return outputs, outputs[torch.arange(len(lengths), device=outputs.device), ends]
