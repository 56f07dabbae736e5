"""EnvPool's environments, stepped by its threads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.plugin import MissingDependencyError, UsageError, install_hint
from zoo_rl.environments import SPARSE, describe, make
from zoo_rl.vector.base import Steps


class EnvPoolVectorEnv:
    """Environments of EnvPool.

    EnvPool seeds an environment when it is made, and begins the next episode by itself with the
    step after the last (the mode NEXT_STEP). So a new pool is made for the episodes of a
    ``reset_envs``, and of every environment only the first episode is looked at.

    Args:
        name: The environment's id, one that EnvPool has.
        num_envs: Number of environments.
        threads: Of the pool.
        max_episode_steps: Where episodes are cut; the environment's own limit without.

    Raises:
        UsageError: EnvPool is not installed or has no such environment, or as for ``describe``.
    """

    partial_reset = False

    def __init__(
        self, name: str, num_envs: int, threads: int = 2, max_episode_steps: int | None = None
    ) -> None:
        try:
            import envpool
        except ImportError as error:
            raise MissingDependencyError(
                "the backend envpool needs a package: take --data.backend sync, or "
                + install_hint("zoo-rl[envpool]")
            ) from error
        base = SPARSE.get(name, name)
        if base not in envpool.list_all_envs():
            raise UsageError(f"EnvPool has no environment {base!r}: take --data.backend sync")
        self._make = envpool.make_gymnasium
        self._base, self._sparse = base, name in SPARSE
        self._options: dict[str, Any] = {"num_threads": threads}
        if max_episode_steps is not None:
            self._options["max_episode_steps"] = max_episode_steps
        self.name, self.num_envs, self.seconds = name, num_envs, 0.0
        single = make(name, max_episode_steps)
        self.facts = describe(single, name)
        single.close()
        self._pool: Any = None
        self._actions = np.zeros(0)
        self._returns = np.zeros(0)

    def reset_envs(self, indices: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """Begin an episode of each seed, in the environments from 0 on."""
        assert indices.tolist() == list(range(len(seeds)))
        began = time.perf_counter()
        self.close()
        self._pool = self._make(self._base, num_envs=len(seeds), seed=list(seeds), **self._options)
        single = self._pool.action_space
        self._actions = np.zeros((len(seeds), *single.shape), single.dtype)
        self._returns = np.zeros(len(seeds))
        observations: np.ndarray = self._pool.reset()[0]
        self.seconds += time.perf_counter() - began
        return observations

    def step_envs(self, indices: np.ndarray, actions: np.ndarray) -> Steps:
        """One step in every environment, of which only those asked for are given."""
        began = time.perf_counter()
        self._actions[indices] = actions
        observations, rewards, terminated, truncated, _ = self._pool.step(self._actions)
        rewards = rewards[indices].astype(np.float64)
        terminated, truncated = terminated[indices], truncated[indices]
        if self._sparse:
            self._returns[indices] += rewards
            rewards = np.where(terminated | truncated, self._returns[indices], 0.0)
        self.seconds += time.perf_counter() - began
        return observations[indices], rewards, terminated, truncated

    def close(self) -> None:
        """Free the pool."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None
