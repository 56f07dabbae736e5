"""Four small tasks with a teacher each, one after the other: the data `skills`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from zoo.plugin import Facts, NumberedSteps, at_least
from zoo_rl.rollout import Policy, rollout
from zoo_rl.seeding import episode_seeds
from zoo_rl.vector import SyncEpisodicVectorEnv
from zoo_worldmodels.episode import Episode, unpadded

_ASTRAY = 0.1
"""Part of a teacher's steps that are random: what to do where one should not be is seen too."""


@dataclass(frozen=True)
class Skill:
    """A task of gymnasium's classic control, and how it is done.

    Attributes:
        name: In metrics.
        environment: gymnasium's id.
        scales: What each number of an observation is divided by.
        choices: How many actions there are.
        torques: What they are where the world takes numbers.
        teacher: From observations (N, O) to actions int64 (N,).
        by_chance: The mean return of random actions, over 100 episodes.
        by_teacher: That of the teacher.
    """

    name: str
    environment: str
    scales: tuple[float, ...]
    choices: int
    torques: tuple[float, ...]
    teacher: Callable[[np.ndarray], np.ndarray]
    by_chance: float
    by_teacher: float

    def score(self, returns: Tensor) -> float:
        """Of a mean return: 0 for that of random actions or less, 1 for the teacher's or more."""
        score = (float(returns.mean()) - self.by_chance) / (self.by_teacher - self.by_chance)
        return min(max(score, 0.0), 1.0)

    def play(self, policy: Policy, seeds: Sequence[int], at_once: int = 20) -> list[Episode]:
        """Episodes.

        Args:
            policy: Chooses actions int64 (n,).
            seeds: One for each episode.
            at_once: Of them, at most.
        """
        envs = SyncEpisodicVectorEnv(self.environment, min(at_once, len(seeds)))

        def act(seen: np.ndarray, numbers: np.ndarray, rewards: np.ndarray) -> np.ndarray:
            chosen = policy(seen, numbers, rewards)
            return np.array(self.torques, np.float32)[chosen][:, None] if self.torques else chosen

        try:
            played = rollout(envs, act, seeds)
        finally:
            envs.close()
        return unpadded(played, [f"{self.name}, episode {n}" for n in range(len(seeds))])


def _balance(seen: np.ndarray) -> np.ndarray:
    """Towards where the pole falls, with a little pull to the middle."""
    return np.asarray(seen @ np.array([0.03, 0.06, 1.0, 0.4]) > 0, np.int64)


def _stand(seen: np.ndarray) -> np.ndarray:
    """Swing by energy, then hold: torques of -2, 0 and 2."""
    cosine, sine, speed = seen.T
    energy = speed**2 / 6 + 5 * (cosine - 1)
    swung = np.sign(speed) * np.where(energy < 0, 2.0, -2.0)
    held = -(10 * np.arctan2(sine, cosine) + 2.5 * speed)
    torque = np.where(cosine > 0.85, held, swung)
    return np.asarray(1 + np.sign(torque) * (np.abs(torque) > 0.5), np.int64)


def _climb(seen: np.ndarray) -> np.ndarray:
    """Always on in the direction of the motion."""
    return np.where(seen[:, 1] >= 0, 2, 0)


def _swing(seen: np.ndarray) -> np.ndarray:
    """Torque in the direction in which the second link turns."""
    return np.where(seen[:, 5] > 0, 2, 0)


SKILLS = (
    Skill("cartpole", "CartPole-v1", (2.4, 2.0, 0.2, 2.0), 2, (), _balance, 22.0, 500.0),
    Skill("pendulum", "Pendulum-v1", (1.0, 0.3, 2.0), 3, (-2, 0, 2), _stand, -1219.0, -141.5),
    Skill("mountaincar", "MountainCar-v0", (1.2, 0.07), 3, (), _climb, -200.0, -119.7),
    Skill("acrobot", "Acrobot-v1", (1, 1, 1, 1, 6, 12), 3, (), _swing, -497.3, -84.4),
)
"""In the order in which they are learnt. For none of them anything was ever trained."""
OBSERVED = max(len(skill.scales) for skill in SKILLS)
ACTIONS = max(skill.choices for skill in SKILLS)


def described(skill: Skill, seen: np.ndarray) -> Tensor:
    """Observations (..., O) as the net reads them: scaled, and padded to (..., OBSERVED)."""
    scaled = torch.from_numpy((seen / np.array(skill.scales)).astype(np.float32))
    return pad(scaled, (0, OBSERVED - scaled.shape[-1]))


@dataclass(frozen=True)
class Traces:
    """What N segments of L steps of one task were like.

    Attributes:
        seen: Described observations, float32 (N, L + 1, OBSERVED).
        done: What was done, int64 (N, L).
        advised: What the teacher does there, int64 (N, L).
        mask: 1 where a step was made, float32 (N, L).
    """

    seen: Tensor
    done: Tensor
    advised: Tensor
    mask: Tensor

    def chosen(self, rows: Tensor) -> Traces:
        """Some of the segments, by int64 (M,)."""
        return Traces(self.seen[rows], self.done[rows], self.advised[rows], self.mask[rows])


def traces_of(skill: Skill, episodes: int, length: int) -> Traces:
    """Segments of a teacher's episodes, always the same.

    Args:
        skill: The task.
        episodes: How many.
        length: Steps of a segment; every episode is cut into such, one after the other.
    """
    random = np.random.default_rng(2018)

    def act(seen: np.ndarray, numbers: np.ndarray, rewards: np.ndarray) -> np.ndarray:
        astray = random.random(len(seen)) < _ASTRAY
        return np.where(astray, random.integers(skill.choices, size=len(seen)), skill.teacher(seen))

    cut: list[tuple[Tensor, ...]] = []
    for episode in skill.play(act, episode_seeds("train", episodes, 2018)):
        done = torch.from_numpy(_numbers(skill, episode.actions))
        seen = described(skill, episode.observations)
        advised = torch.from_numpy(skill.teacher(episode.observations[:-1]))
        for start in range(0, len(episode), length):
            stop = min(start + length, len(episode))
            short = length - (stop - start)
            cut.append(
                (
                    pad(seen[start : stop + 1], (0, 0, 0, short)),
                    pad(done[start:stop], (0, short)),
                    pad(advised[start:stop], (0, short)),
                    pad(torch.ones(stop - start), (0, short)),
                )
            )
    return Traces(*(torch.stack(part) for part in zip(*cut, strict=True)))


def _numbers(skill: Skill, actions: np.ndarray) -> np.ndarray:
    """What was done, as numbers of actions."""
    if not skill.torques:
        return actions
    return np.asarray(np.abs(actions - np.array(skill.torques)).argmin(1))


class Skills(NumberedSteps):
    """Four tasks to learn, an epoch each: CartPole, Pendulum with three torques, MountainCar and
    Acrobot.

    A batch is the number of an update; the traces of the teachers are made when they are first
    needed. Validation and test are real episodes.

    Args:
        updates: Of a task.
        episodes: Of each teacher.
        length: Steps of a segment of them.
        val_episodes: Of each task, in a validation.
        test_episodes: Of each task, in the test.
        seed: Of all that training draws.

    Raises:
        UsageError: an argument is out of its range.
    """

    conformance_arguments = {  # noqa: RUF012  # read, never changed
        "updates": 2,
        "episodes": 2,
        "val_episodes": 1,
        "test_episodes": 1,
    }
    conformance_exempt = {  # noqa: RUF012
        "seed-decides-order": "a batch is a number: the seed is that of all that is drawn"
    }

    def __init__(
        self,
        updates: int = 400,
        episodes: int = 30,
        length: int = 50,
        val_episodes: int = 5,
        test_episodes: int = 50,
        seed: int = 0,
    ) -> None:
        super().__init__(updates, 1, 1, seed)
        for name, value in (
            ("episodes", episodes),
            ("length", length),
            ("val_episodes", val_episodes),
            ("test_episodes", test_episodes),
        ):
            at_least(name, value, 1)
        self._sizes = (episodes, length)
        self.counts = {"val": val_episodes, "test": test_episodes}
        self._traces: dict[str, Traces] = {}

    @property
    def facts(self) -> Facts:
        """``observed``: numbers in an observation; ``choices``: actions of each task."""
        return {"observed": OBSERVED, "choices": [skill.choices for skill in SKILLS]}

    def traces(self, task: int) -> Traces:
        """Of the teacher of a task, by its number."""
        skill = SKILLS[task]
        if skill.name not in self._traces:
            self._traces[skill.name] = traces_of(skill, *self._sizes)
        return self._traces[skill.name]
