"""Play seeded episodes in vectorized environments."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from zoo_rl.episodes import Episodes
from zoo_rl.errors import EnvironmentFailure
from zoo_rl.vector import EpisodicVectorEnv

Policy = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""From observations (n, ...), the numbers int64 (n,) of the episodes they are of, and the rewards
float64 (n,) of the step before (0 before the first), to actions: int64 (n,) or float32 (n, A)."""

StepCallback = Callable[[EpisodicVectorEnv, np.ndarray, np.ndarray], None]
"""Called with the environments, the indices int64 (n,) of those whose episodes run, and the
numbers int64 (n,) of these episodes."""

STEP_LIMIT = 10_000
"""Steps after which an episode without a limit of its own is held to never end."""


def rollout(
    envs: EpisodicVectorEnv,
    policy: Policy,
    seeds: Sequence[int],
    on_step: StepCallback | None = None,
    step_limit: int = STEP_LIMIT,
) -> Episodes:
    """Play one episode of every seed, from its first observation to its end.

    As many run at once as there are environments; the next begins where one ended. The same seeds
    and actions give the same episodes, in the order of the seeds.

    Args:
        envs: The environments.
        policy: Chooses the actions of all running episodes at once.
        seeds: What the environment is reset with for each episode.
        on_step: Called before every choice and after the last step, for example to record frames.
        step_limit: Steps after which an environment without a limit of its own is given up.

    Raises:
        EnvironmentFailure: an environment raised an error, returned an observation or a reward
            that is not finite, or did not end.
    """
    limit = envs.facts["max_episode_steps"] or step_limit
    buffer = _EpisodeBuffer(len(seeds))
    check = _FiniteCheck(envs, seeds, buffer)
    episode_of = np.full(envs.num_envs, -1)  # the episode in each environment
    rewards, observations = np.zeros(0), np.zeros(0)
    waiting, running = 0, np.zeros(0, np.int64)
    while waiting < len(seeds) or len(running):
        free = np.flatnonzero(episode_of < 0)
        if len(free) and waiting < len(seeds) and (envs.partial_reset or not len(running)):
            new = free[: len(seeds) - waiting]
            numbers = np.arange(waiting, waiting + len(new))
            first = envs.reset_envs(new, [seeds[number] for number in numbers.tolist()])
            buffer.start(numbers, check.finite(first, "an observation", numbers))
            observations = first if not len(running) else np.concatenate([observations, first])
            rewards = np.concatenate([rewards, np.zeros(len(new))])
            episode_of[new] = numbers
            running, waiting = np.concatenate([running, new]), waiting + len(new)
        numbers = episode_of[running]
        if on_step:
            on_step(envs, running, numbers)
        actions = policy(observations, numbers, rewards)
        observations, rewards, terminated, truncated = envs.step_envs(running, actions)
        check.finite(rewards, "a reward", numbers)
        check.finite(observations, "an observation", numbers)
        buffer.add(numbers, actions, rewards, terminated, observations)
        done = terminated | truncated
        if done.any():
            if on_step:
                on_step(envs, running[done], numbers[done])
            episode_of[running[done]] = -1
            running, observations, rewards = running[~done], observations[~done], rewards[~done]
        if len(running):
            check.ends(episode_of[running], limit)
    return buffer.episodes()


class _FiniteCheck:
    """Refuses what is not a number, with the seed and step of its episode."""

    def __init__(
        self, envs: EpisodicVectorEnv, seeds: Sequence[int], buffer: _EpisodeBuffer
    ) -> None:
        self._name, self._seeds, self._buffer = envs.name, seeds, buffer

    def finite(self, values: np.ndarray, what: str, numbers: np.ndarray) -> np.ndarray:
        """The values of some episodes, if all of them are finite."""
        if values.dtype.kind != "f" or np.isfinite(values).all():
            return values
        rows = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        bad = int(np.flatnonzero(~rows)[0])
        raise self.failure(f"returned {what} that is not finite: {values[bad]}", int(numbers[bad]))

    def ends(self, numbers: np.ndarray, limit: int) -> None:
        """Refuse running episodes that are longer than the limit."""
        lengths = self._buffer.lengths[numbers]
        if lengths.max() > limit:
            raise self.failure(
                f"did not end an episode within {limit} steps: set --data.max_episode_steps, "
                "where episodes are cut",
                int(numbers[lengths.argmax()]),
            )

    def failure(self, what: str, number: int) -> EnvironmentFailure:
        """That an episode failed now."""
        step = int(self._buffer.lengths[number])
        return EnvironmentFailure(self._name, what, self._seeds[number], step)


class _EpisodeBuffer:
    """Episodes as they come, in arrays that double when they are full."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.lengths = np.zeros(count, np.int64)
        self._terminated = np.zeros(count, np.bool_)
        self._columns: dict[str, np.ndarray] = {}

    def start(self, numbers: np.ndarray, observations: np.ndarray) -> None:
        """The first observations of some episodes."""
        self._put("observations", numbers, 0, observations)

    def add(
        self,
        numbers: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        terminated: np.ndarray,
        observations: np.ndarray,
    ) -> None:
        """A step of some episodes, and the observations after it."""
        steps = self.lengths[numbers]
        self._put("actions", numbers, steps, actions)
        self._put("rewards", numbers, steps, rewards)
        self._put("observations", numbers, steps + 1, observations)
        self.lengths[numbers] += 1
        self._terminated[numbers] = terminated

    def episodes(self) -> Episodes:
        """All of them, padded to the longest."""
        longest = int(self.lengths.max(initial=0))
        return Episodes(
            torch.from_numpy(self._columns["observations"][:, : longest + 1].copy()),
            torch.from_numpy(self._columns["actions"][:, :longest].copy()),
            torch.from_numpy(self._columns["rewards"][:, :longest].copy()),
            torch.from_numpy(self.lengths),
            torch.from_numpy(self._terminated),
        )

    def _put(
        self, name: str, numbers: np.ndarray, steps: np.ndarray | int, new: np.ndarray
    ) -> None:
        column = self._columns.get(name)
        if column is None:
            # Kept as float32, whatever the environment counts in.
            kind = np.float32 if new.dtype.kind == "f" else new.dtype
            column = np.zeros((self.count, 129, *new.shape[1:]), kind)
        if (last := int(np.max(steps))) >= column.shape[1]:
            longer = np.zeros((self.count, 2 * last + 1, *column.shape[2:]), column.dtype)
            longer[:, : column.shape[1]] = column
            column = longer
        column[numbers, steps] = new
        self._columns[name] = column
