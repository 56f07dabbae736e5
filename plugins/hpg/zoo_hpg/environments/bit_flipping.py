"""Bit flipping: k bits, an action flips one, the goal is any pattern of bits."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.plugin import UsageError, at_least
from zoo_hpg.environments.base import require_numbers


class BitFlipping:
    """Episodes begin with all bits 0; the horizon is one more than the number of bits.

    Args:
        bits: Number of bits, k.

    Raises:
        UsageError: ``bits`` is below 1.
    """

    tolerance = 0.5

    def __init__(self, bits: int = 8) -> None:
        at_least("bits", bits, 1)
        self.bits = self.goal_size = bits
        self.horizon = bits + 1
        self.observation_shape = (bits,)
        self.action_names = [f"flip bit {bit + 1}" for bit in range(bits)]
        self._state = torch.zeros(0, bits)

    def reset(
        self, episodes: int, random: torch.Generator, goals: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Begin; see ``Environment.reset``. Bits and goals are float32 (N, k) of 0 and 1."""
        if goals is None:
            shape = (episodes, self.bits)
            goals = torch.randint(2, shape, generator=random, device=random.device).float()
        self._state = torch.zeros_like(goals)
        return self._state, self._state, goals

    def step(self, actions: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Flip a bit in every episode; see ``Environment.step``."""
        indices = actions[:, None]
        flipped = 1 - self._state.gather(1, indices)
        self._state = self._state.scatter(1, indices, flipped)
        return self._state, self._state, torch.zeros_like(actions, dtype=torch.bool)

    def read_goal(self, numbers: list[float]) -> Tensor:
        """A goal (k,) from as many zeros and ones.

        Raises:
            UsageError: there are not k numbers, or one is neither 0 nor 1.
        """
        example = ",".join("10"[bit % 2] for bit in range(self.bits))
        require_numbers(numbers, self.bits, f"it takes {self.bits} bits, such as {example}")
        if any(number not in (0, 1) for number in numbers):
            raise UsageError(f"a goal of bit flipping is of zeros and ones, such as {example}")
        return torch.tensor(numbers)
