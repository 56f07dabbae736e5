"""A cart on a line, which needs no data."""

import torch
from torch import Tensor

from zoo.plugin import NumberedSteps

STEPS = 20
"""Of an episode."""


class Turns(NumberedSteps):
    """Turns of world model and controller."""


def move(state: Tensor, force: Tensor) -> Tensor:
    """The next place and speed of carts, (N, 2), under forces, (N, 1)."""
    speed = 0.95 * state[:, 1:] + 0.2 * force.clamp(-1, 1)
    return torch.cat([state[:, :1] + 0.2 * speed, speed], 1)
