"""Any environment of gymnasium whose observations are vectors, played by a population."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from zoo.plugin import UsageError, at_least
from zoo_evolution.policies.base import Policy
from zoo_evolution.tasks.base import Outcome, Task
from zoo_rl.environments import require_trusted
from zoo_rl.rollout import rollout
from zoo_rl.seeding import episode_seeds
from zoo_rl.vector import EpisodicVectorEnv, make_vec

FILMED = 200
"""Frames of a film at most."""
AT_ONCE = 64
"""Environments that are stepped together at most."""


class GymnasiumEpisodes(Task):
    """Episodes of an environment by its id; the fitness is the mean return.

    All individuals of a generation play the same seeds, and the next generation others, so that
    none is better by luck alone. With a threshold, the best of a generation solves the task if its
    mean return over ``confirm_episodes`` other seeds reaches it; these are not counted as
    evaluations. A discrete action is the largest output, a continuous one is scaled to its bounds.

    Args:
        environment: Such as ``CartPole-v1``, or ``package.module:Mine-v0``.
        episodes: Of each individual's evaluation.
        threshold: The mean return that solves it; None: never.
        confirm_episodes: Of the confirmation, and of the test.
        max_episode_steps: Where episodes are cut; the environment's own limit if None.

    Raises:
        UsageError: there is no such environment, its observations are images, a bundle names a
            module that is not allowed, or a number is out of its range.
    """

    film_fps: ClassVar[float] = 30.0

    def __init__(
        self,
        environment: str = "CartPole-v1",
        episodes: int = 1,
        threshold: float | None = None,
        confirm_episodes: int = 20,
        max_episode_steps: int | None = None,
    ) -> None:
        at_least("episodes", episodes, 1)
        at_least("confirm_episodes", confirm_episodes, 1)
        require_trusted(environment)
        self.environment, self.episodes, self.threshold = environment, episodes, threshold
        self.confirm_episodes, self._limit = confirm_episodes, max_episode_steps
        self._envs: EpisodicVectorEnv | None = None
        first = make_vec(environment, 1, max_episode_steps=max_episode_steps)
        self._facts = first.facts
        first.close()
        shape = self._facts["observation_shape"]
        if len(shape) != 1:
            raise UsageError(
                f"observations of {environment!r} are images, which these policies do not take: "
                "take an environment whose observations are vectors"
            )
        self.observation_size, self.action_size = shape[0], self._facts["num_actions"]

    def evaluate(self, policy: Policy, weights: Tensor, seed: Sequence[int]) -> Outcome:
        seeds = episode_seeds("train", self.episodes, *seed)
        fitness, steps = self._returns(policy, weights, seeds)
        fitness, steps = fitness.mean(1), steps.sum(1)
        best, solver = int(fitness.argmax()), None
        if self.threshold is not None and float(fitness[best]) >= self.threshold:
            confirmed = episode_seeds("val", self.confirm_episodes)
            returns, _ = self._returns(policy, weights[best][None], confirmed)
            solver = best if float(returns.mean()) >= self.threshold else None
        return Outcome(fitness, steps, solver, len(weights))

    def _returns(
        self, policy: Policy, weights: Tensor, seeds: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Returns float64 and lengths int64 (P, seeds)."""
        count = len(weights) * len(seeds)
        envs = self._vector(min(count, AT_ONCE))
        act = _Actors(policy, weights.repeat_interleave(len(seeds), 0), self._facts)
        played = rollout(envs, act, list(seeds) * len(weights))
        shape = len(weights), len(seeds)
        return played.returns.double().view(shape), played.lengths.view(shape)

    def _vector(self, count: int) -> EpisodicVectorEnv:
        if self._envs is None or self._envs.num_envs < count:
            if self._envs is not None:
                self._envs.close()
            self._envs = make_vec(self.environment, count, max_episode_steps=self._limit)
        return self._envs

    def test(self, policy: Policy, weights: Tensor, seed: int) -> dict[str, float]:
        """Mean return and length of episodes that no training has."""
        seeds = episode_seeds("test", self.confirm_episodes)
        returns, lengths = self._returns(policy, weights[None], seeds)
        return {
            "fitness": float(returns.mean()),
            "return": float(returns.mean()),
            "steps": float(lengths.double().mean()),
        }

    def play(
        self, policy: Policy, weights: Tensor, seed: int, film: bool
    ) -> tuple[dict[str, Any], list[np.ndarray]]:
        """An episode of the seed."""
        options: dict[str, Any] = {"max_episode_steps": self._limit}
        envs = make_vec(self.environment, 1, render_mode="rgb_array" if film else None, **options)
        frames: list[np.ndarray] = []

        def keep(each: Any, indices: np.ndarray, numbers: np.ndarray) -> None:
            if len(frames) < FILMED:
                frames.append(np.asarray(each.envs[0].render()))

        act = _Actors(policy, weights[None], self._facts)
        played = rollout(envs, act, [seed + 1], keep if film else None)
        envs.close()
        return {"return": float(played.returns), "steps": int(played.lengths)}, frames

    def describe(self) -> list[str]:
        count = self.episodes
        return [self.environment, f"{count} episode{'s' * (count > 1)} an evaluation"]


class _Actors:
    """Chooses the actions of the episodes that run, each with a controller of its own."""

    def __init__(self, policy: Policy, weights: Tensor, facts: dict[str, Any]) -> None:
        self._policy = policy
        self._weights = policy.split(weights.double().cpu())
        self._state = tuple(
            torch.zeros(len(weights), *shape, dtype=torch.float64) for shape in policy.remembered
        )
        self._discrete = facts["actions"] == "discrete"
        if not self._discrete:
            self._low, self._high = np.array(facts["action_low"]), np.array(facts["action_high"])

    def __call__(
        self, observations: np.ndarray, numbers: np.ndarray, rewards: np.ndarray
    ) -> np.ndarray:
        index = torch.from_numpy(numbers)
        weights = [each[index] for each in self._weights]
        state = tuple(each[index] for each in self._state)
        seen = torch.from_numpy(observations.astype(np.float64))
        actions, new = self._policy.step(weights, state, seen)
        for kept, each in zip(self._state, new, strict=True):
            kept[index] = each
        if self._discrete:
            chosen: np.ndarray = actions.argmax(1).numpy()
            return chosen
        share = (actions.numpy() + 1) / 2
        scaled: np.ndarray = self._low + share * (self._high - self._low)
        return scaled.astype(np.float32)
