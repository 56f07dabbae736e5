"""Short causal convolutions of each channel by itself, over the last few tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ShortConv(nn.Module):
    """``y_t = sum_j w_j x_{t-width+1+j}`` in every channel, then SiLU; (N, T, d) to (N, T, d).

    Source: Yang and others 2024 (DeltaNet), section 3.3: width 4 on queries, keys and values.

    Args:
        dim: Channels d.
        width: Tokens that are looked at, the present one among them.
    """

    def __init__(self, dim: int, width: int = 4) -> None:
        super().__init__()
        self.width = width
        self.weight = nn.Parameter(torch.empty(dim, 1, width))
        nn.init.uniform_(self.weight, -(width**-0.5), width**-0.5)

    def empty_state(self, x: Tensor) -> Tensor:
        """What a stream begins with: (N, width - 1, d) of zeros for inputs (N, T, d)."""
        return x.new_zeros(x.shape[0], self.width - 1, x.shape[-1])

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs and the last ``width - 1`` inputs, with which the next call continues.

        Args:
            x: (N, T, d).
            state: The last inputs of earlier tokens; zeros if None.
        """
        before = self.empty_state(x) if state is None else state
        seen = torch.cat([before, x], dim=1)
        mixed = F.conv1d(seen.mT, self.weight, groups=self.weight.shape[0]).mT
        return F.silu(mixed), seen[:, seen.shape[1] - self.width + 1 :]
