"""What every vectorized environment of this library offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

Steps = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Observations (n, ...), rewards float64 (n,), terminated bool (n,), truncated bool (n,)."""


class EpisodicVectorEnv(Protocol):
    """Environments of one kind, each reset and stepped by its index.

    gymnasium's ``VectorEnv`` steps all of its environments in lockstep and resets those that are
    done by itself. Here nothing is reset on its own: the observation after the last step is the
    episode's true last one, and no step is made that belongs to no episode.

    Attributes:
        name: The environment's id.
        facts: Of one environment, see ``zoo_rl.environments.describe``.
        num_envs: How many there are.
        partial_reset: Whether some can be reset while episodes run in others.
        seconds: Time spent inside the environments so far.
    """

    name: str
    facts: dict[str, Any]
    num_envs: int
    partial_reset: bool
    seconds: float

    def reset_envs(self, indices: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """Begin an episode of each seed; the first observations (n, ...).

        Args:
            indices: int64 (n,), the environments to reset.
            seeds: One for each of them.

        Raises:
            EnvironmentFailure: an environment raised an error.
        """
        ...

    def step_envs(self, indices: np.ndarray, actions: np.ndarray) -> Steps:
        """One step in some of the environments, whose episodes run.

        Args:
            indices: int64 (n,), the environments to step.
            actions: int64 (n,) or float32 (n, A), one for each of them.

        Raises:
            EnvironmentFailure: an environment raised an error.
        """
        ...

    def close(self) -> None:
        """Free what the environments hold."""
        ...
