"""Many environments stepped at once, episode by episode.

``start`` begins episodes in some places, ``advance`` steps those whose episodes run, and nothing
is ever reset on its own: the observation after the last step is the episode's true last one, and
no step is made that belongs to no episode.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from zoo.plugin import MissingDependencyError, UsageError
from zoo_rl.environments import SPARSE, describe, make
from zoo_rl.errors import EnvironmentFailure

Steps = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Observations (n, ...), rewards float64 (n,), terminated bool (n,), truncated bool (n,)."""


class Vector(Protocol):
    """Environments of one kind in numbered places.

    Attributes:
        name: The environment's id.
        facts: Of one environment, see ``zoo_rl.environments.describe``.
        places: How many there are.
        refills: Whether a place can begin an episode while others run.
        seconds: Time spent inside the environments so far.
    """

    name: str
    facts: dict[str, Any]
    places: int
    refills: bool
    seconds: float

    def start(self, places: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """Begin an episode of each seed; the first observations (n, ...)."""
        ...

    def advance(self, places: np.ndarray, actions: np.ndarray) -> Steps:
        """One step in each of these places, whose episodes run."""
        ...

    def close(self) -> None:
        """Free what the environments hold."""
        ...


class Environments(SyncVectorEnv):
    """gymnasium's SyncVectorEnv in the mode DISABLED, which steps only the episodes that run.

    gymnasium's own step takes an action for every place and refuses one whose episode is over.

    Args:
        name: The environment's id.
        places: Number of environments.
        options: Of ``zoo_rl.environments.make``.

    Raises:
        UsageError: as for ``make`` and ``describe``.
    """

    refills = True

    def __init__(self, name: str, places: int, **options: Any) -> None:
        def one() -> gym.Env[Any, Any]:
            return make(name, **options)

        super().__init__([one] * places, autoreset_mode=AutoresetMode.DISABLED)
        self.name, self.places, self.seconds = name, places, 0.0
        self.facts = describe(self.envs[0], name)
        self._seeds, self._steps = [0] * places, [0] * places
        self._discrete = self.facts["actions"] == "discrete"

    def start(self, places: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """Begin an episode of each seed."""
        began = time.perf_counter()
        found = []
        for place, seed in zip(places.tolist(), seeds, strict=True):
            self._seeds[place], self._steps[place] = seed, 0
            try:
                found.append(self.envs[place].reset(seed=seed)[0])
            except Exception as error:  # a stranger's code
                raise self._failure(place, error) from error
        self.seconds += time.perf_counter() - began
        return np.stack(found)

    def advance(self, places: np.ndarray, actions: np.ndarray) -> Steps:
        """One step in each of these places."""
        began = time.perf_counter()
        chosen = actions.tolist() if self._discrete else actions
        found, place = [], 0
        try:
            for place, action in zip(places.tolist(), chosen, strict=True):
                found.append(self.envs[place].step(action)[:4])
                self._steps[place] += 1
        except Exception as error:  # a stranger's code
            raise self._failure(place, error) from error
        observations, rewards, terminated, truncated = zip(*found, strict=True)
        self.seconds += time.perf_counter() - began
        return (
            np.stack(observations),
            np.array(rewards, np.float64),
            np.array(terminated, np.bool_),
            np.array(truncated, np.bool_),
        )

    def _failure(self, place: int, error: Exception) -> EnvironmentFailure:
        what = f"raised {type(error).__name__}: {' '.join(str(error).split())}"
        return EnvironmentFailure(self.name, what, self._seeds[place], self._steps[place])


class PooledEnvironments:
    """Environments of EnvPool, stepped by threads.

    EnvPool seeds an environment when it is made, and begins the next episode by itself with the
    step after the last (the mode NEXT_STEP). So a new pool is made for the episodes of a
    ``start``, and of every environment only the first episode is looked at.

    Args:
        name: The environment's id, one that EnvPool has.
        places: Number of environments.
        threads: Of the pool.
        max_episode_steps: Where episodes are cut; the environment's own limit without.

    Raises:
        UsageError: EnvPool is not installed or has no such environment, or as for ``describe``.
    """

    refills = False

    def __init__(
        self, name: str, places: int, threads: int = 2, max_episode_steps: int | None = None
    ) -> None:
        try:
            import envpool
        except ImportError as error:
            raise MissingDependencyError(
                'the backend envpool needs a package: pip install "zoo-rl[envpool]", or take '
                "--data.backend sync"
            ) from error
        base = SPARSE.get(name, name)
        if base not in envpool.list_all_envs():
            raise UsageError(f"EnvPool has no environment {base!r}: take --data.backend sync")
        self._make = envpool.make_gymnasium
        self._base, self._sparse = base, name in SPARSE
        self._options: dict[str, Any] = {"num_threads": threads}
        if max_episode_steps is not None:
            self._options["max_episode_steps"] = max_episode_steps
        self.name, self.places, self.seconds = name, places, 0.0
        single = make(name, max_episode_steps)
        self.facts = describe(single, name)
        single.close()
        self._pool: Any = None
        self._actions = np.zeros(0)
        self._sums = np.zeros(0)

    def start(self, places: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """Begin an episode of each seed, in the places from 0 on."""
        assert places.tolist() == list(range(len(seeds)))
        began = time.perf_counter()
        self.close()
        self._pool = self._make(self._base, num_envs=len(seeds), seed=list(seeds), **self._options)
        single = self._pool.action_space
        self._actions = np.zeros((len(seeds), *single.shape), single.dtype)
        self._sums = np.zeros(len(seeds))
        observations, _ = self._pool.reset()
        self.seconds += time.perf_counter() - began
        return observations

    def advance(self, places: np.ndarray, actions: np.ndarray) -> Steps:
        """One step in every place, of which only those asked for are given."""
        began = time.perf_counter()
        self._actions[places] = actions
        observations, rewards, terminated, truncated, _ = self._pool.step(self._actions)
        rewards = rewards[places].astype(np.float64)
        terminated, truncated = terminated[places], truncated[places]
        if self._sparse:
            self._sums[places] += rewards
            rewards = np.where(terminated | truncated, self._sums[places], 0.0)
        self.seconds += time.perf_counter() - began
        return observations[places], rewards, terminated, truncated

    def close(self) -> None:
        """Free the pool."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None


BACKENDS = ("sync", "envpool")


def make_vector(name: str, places: int, backend: str = "sync", **options: Any) -> Vector:
    """Environments by name.

    Stepping in processes of their own (gymnasium's AsyncVectorEnv) was slower on every
    environment tried, and is not offered.

    Args:
        name: The environment's id.
        places: How many episodes may run at once.
        backend: ``sync``, or ``envpool``, whose environments are written anew in C++: faster, and
            their numbers are not to the last digit those of gymnasium's.
        options: Of ``zoo_rl.environments.make``; EnvPool takes ``max_episode_steps`` of them.

    Raises:
        UsageError: an unknown backend, or as for ``Environments`` and ``PooledEnvironments``.
    """
    if backend == "sync":
        return Environments(name, places, **options)
    if backend == "envpool":
        limit = options.get("max_episode_steps")
        return PooledEnvironments(name, places, max_episode_steps=limit)
    raise UsageError(f"unknown backend {backend!r}; there are {', '.join(BACKENDS)}")
