"""The environments that world models are of, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo_rl.vector import SyncEpisodicVectorEnv
from zoo_rl.vector.base import Steps


class Reality(SyncEpisodicVectorEnv):
    """gymnasium's environments, whose pictures have an axis of channels, as their facts say.

    ``zoo_rl`` gives gray pictures (N, H, W), for those who stack frames.

    Args:
        name: The environment's id.
        num_envs: Number of environments.
        options: Of ``zoo_rl.environments.make``.
    """

    def reset_envs(self, indices: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """Begin an episode of each seed."""
        return self._shaped(super().reset_envs(indices, seeds))

    def step_envs(self, indices: np.ndarray, actions: np.ndarray) -> Steps:
        """One step in each of these environments."""
        observations, rewards, terminated, truncated = super().step_envs(indices, actions)
        return self._shaped(observations), rewards, terminated, truncated

    def _shaped(self, observations: np.ndarray) -> np.ndarray:
        shape: list[Any] = self.facts["observation_shape"]
        return observations.reshape(len(observations), *shape)
