"""Playing by commands, which are brought up to date after every step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from zoo_udrl.commands import updated_commands

Choose = Callable[[Tensor, Tensor], Tensor]
"""From observations (N, ...) and commands (N, 2) to actions (N, ...)."""


class CommandedActor:
    """The policy of ``zoo_rl.rollout.rollout``: one command for every episode.

    Args:
        choose: The behavior function with its way of choosing.
        commands: float32 (episodes, 2): each episode's first desired return and horizon.
        max_return: See ``updated_commands``; the first commands are cut to it as well.
        frames: Images in an observation, for environments that observe images.
    """

    def __init__(
        self, choose: Choose, commands: Tensor, max_return: float | None = None, frames: int = 1
    ) -> None:
        self._choose = choose
        self._max_return = max_return
        if max_return is not None:
            returns = commands[:, 0].clamp(max=max_return)
            commands = torch.stack([returns, commands[:, 1]], dim=1)
        self.commands = commands.clone()
        """Of every episode, as of its latest step."""
        self.observed = torch.empty(0)
        """What the latest actions were chosen for: observations (n, ...), or stacked images."""
        self._began = torch.zeros(len(commands), dtype=torch.bool)
        self._frames = frames
        self._stacks: Tensor | None = None

    @torch.inference_mode()
    def __call__(
        self, observations: np.ndarray, episodes: np.ndarray, rewards: np.ndarray
    ) -> np.ndarray:
        numbers = torch.from_numpy(episodes)
        began = self._began[numbers]
        if began.all():
            self.commands[numbers] = self._updated(numbers, rewards)
        else:
            older = numbers[began]
            self.commands[older] = self._updated(older, rewards[began.numpy()])
            self._began[numbers] = True
        observed = torch.from_numpy(observations)
        if observed.ndim == 3:
            observed = self._stacked(observed, numbers, ~began)
        else:  # whatever numbers the environment counts in
            observed = observed.float()
        self.observed = observed
        return self._choose(observed, self.commands[numbers]).numpy()

    def _updated(self, numbers: Tensor, rewards: np.ndarray) -> Tensor:
        received = torch.from_numpy(rewards).float()
        return updated_commands(self.commands[numbers], received, self._max_return)

    def _stacked(self, images: Tensor, numbers: Tensor, first: Tensor) -> Tensor:
        """The last images (n, frames, H, W) of each episode."""
        if self._stacks is None:
            shape = (len(self._began), self._frames, *images.shape[1:])
            self._stacks = torch.zeros(shape, dtype=images.dtype)
        stacks = torch.cat([self._stacks[numbers, 1:], images[:, None]], dim=1)
        stacks[first] = images[first, None].expand_as(stacks[first])
        self._stacks[numbers] = stacks
        return stacks
