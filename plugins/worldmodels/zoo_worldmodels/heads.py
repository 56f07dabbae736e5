"""What a world model says of a step besides its features: its reward, and whether it ended."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class OutcomeHead(nn.Module):
    """Reward and end of a step, from what the memory knows after it and the action that led there.

    Args:
        inputs: Numbers of a readout.
        actions: Numbers of an action.
        hidden: Units.
    """

    def __init__(self, inputs: int, actions: int, hidden: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs + actions, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 2),
        )

    def forward(self, readout: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled rewards and logits of the end, (...,) each.

        Args:
            readout: (..., inputs).
            action: (..., actions).
        """
        reward, end = self.layers(torch.cat([readout, action], -1)).unbind(-1)
        return reward, end
