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
        last_reward: Predict the reward of a step that ends an episode by an output of its own.
    """

    def __init__(
        self, inputs: int, actions: int, hidden: int = 64, last_reward: bool = False
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs + actions, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 3 if last_reward else 2),
        )

    def forward(
        self, readout: Tensor, action: Tensor, ends: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Scaled rewards and logits of the end, (...,) each.

        Args:
            readout: (..., inputs).
            action: (..., actions).
            ends: Whether a step was the last, (...,), where that is known; as predicted without.
        """
        reward, end, *last = self.layers(torch.cat([readout, action], -1)).unbind(-1)
        if last:
            reward = torch.where(end > 0 if ends is None else ends > 0, last[0], reward)
        return reward, end
