"""gymnasium's environments, one after the other in this process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from zoo_rl.api import ApiError, read_reset, read_step
from zoo_rl.environments import describe, make
from zoo_rl.errors import EnvironmentFailure
from zoo_rl.vector.base import Steps


class SyncEpisodicVectorEnv(SyncVectorEnv):
    """gymnasium's SyncVectorEnv in the mode DISABLED, which steps only the episodes that run.

    gymnasium's own ``step`` takes an action for every environment and refuses one whose episode
    is over.

    Args:
        name: The environment's id.
        num_envs: Number of environments.
        options: Of ``zoo_rl.environments.make``.

    Raises:
        UsageError: as for ``make`` and ``describe``.
    """

    partial_reset = True

    def __init__(self, name: str, num_envs: int, **options: Any) -> None:
        def one() -> gym.Env[Any, Any]:
            return make(name, **options)

        super().__init__([one] * num_envs, autoreset_mode=AutoresetMode.DISABLED)
        self.name, self.seconds = name, 0.0
        self.facts = describe(self.envs[0], name)
        self._seeds, self._steps = [0] * num_envs, [0] * num_envs
        self._discrete = self.facts["actions"] == "discrete"
        self._shape = self.envs[0].observation_space.shape or ()

    def reset_envs(self, indices: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """Begin an episode of each seed."""
        began = time.perf_counter()
        observations = []
        for index, seed in zip(indices.tolist(), seeds, strict=True):
            self._seeds[index], self._steps[index] = seed, 0
            try:
                observations.append(read_reset(self.envs[index].reset(seed=seed), self._shape))
            except Exception as error:  # third-party code
                raise self._failure(index, error) from error
        self.seconds += time.perf_counter() - began
        return np.stack(observations)

    def step_envs(self, indices: np.ndarray, actions: np.ndarray) -> Steps:
        """One step in each of these environments."""
        began = time.perf_counter()
        chosen = actions.tolist() if self._discrete else actions
        steps, index = [], 0
        try:
            for index, action in zip(indices.tolist(), chosen, strict=True):
                steps.append(read_step(self.envs[index].step(action), self._shape))
                self._steps[index] += 1
        except Exception as error:  # third-party code
            raise self._failure(index, error) from error
        observations, rewards, terminated, truncated = zip(*steps, strict=True)
        self.seconds += time.perf_counter() - began
        return (
            np.stack(observations),
            np.array(rewards, np.float64),
            np.array(terminated, np.bool_),
            np.array(truncated, np.bool_),
        )

    def _failure(self, index: int, error: Exception) -> EnvironmentFailure:
        text = " ".join(str(error).split())
        what = f"raised {type(error).__name__}: {text}"
        if isinstance(error, ApiError):
            what = f"cannot be played: {text}"
        return EnvironmentFailure(self.name, what, self._seeds[index], self._steps[index])
