"""Environments that are tried before they are played: served rightly, or refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from zoo.plugin import UsageError
from zoo_rl.errors import EnvironmentFailure
from zoo_rl.probe import probed_facts
from zoo_rl.rollout import rollout
from zoo_rl.vector import SyncEpisodicVectorEnv
from zoo_rl.wrappers import GrayScreen

Register = Callable[..., str]


class Five(gym.Env[Any, Any]):
    """Episodes of five steps that pay 1 each; what a test changes of it is an attribute."""

    observation_space: gym.Space[Any] = gym.spaces.Box(-np.inf, np.inf, (3,), np.float32)
    action_space: gym.Space[Any] = gym.spaces.Discrete(2)
    reward: Any = 1.0
    truncated: Any = False
    length = 5

    def __init__(self, **changes: Any) -> None:
        self.__dict__.update(changes)

    def observe(self) -> Any:
        return np.array([self.steps, 1, 2], np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return self.observe(), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        done = self.steps >= self.length
        return self.observe(), self.reward, done, self.truncated, {"score": 1}


class OldStep(Five):
    """Of gym 0.21: one bool."""

    def step(self, action: Any) -> Any:
        observation, reward, done, _, info = super().step(action)
        return observation, reward, done, info


class OldReset(Five):
    """Of gym 0.21: the observation alone."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return super().reset(seed=seed)[0]


class NoSeed(Five):
    """Of gym 0.21: seeded by a method of its own."""

    def reset(self) -> Any:  # type: ignore[override]
        return super().reset()


class Unknown(Five):
    """It observes a number that is not one."""

    def observe(self) -> Any:
        return np.array([0, np.nan, 0], np.float32)


class Narrow(Five):
    """It observes less than it says."""

    def observe(self) -> Any:
        return np.zeros(2, np.float32)


class Broken(Five):
    """It breaks."""

    def step(self, action: Any) -> Any:
        raise RuntimeError("no\n simulator")


class Reused(Five):
    """Every instance writes into one array."""

    buffer = np.zeros(3, np.float32)

    def observe(self) -> Any:
        self.buffer[:] = [self.steps, id(self) % 97, 0]
        return self.buffer


class FromOne(Five):
    """Its actions are 1 and 2, which are what it pays."""

    action_space = gym.spaces.Discrete(2, start=1)

    def step(self, action: Any) -> Any:
        assert action in (1, 2)
        observation, _, *rest = super().step(action)
        return observation, float(action), *rest


@pytest.fixture
def register() -> Iterator[Register]:
    """Registers a class under a name, with what is changed of it."""
    names: list[str] = []

    def make(kind: type[Five], limit: int | None = 5, **changes: Any) -> str:
        name = f"{kind.__name__}{len(names)}-v0"
        gym.register(name, entry_point=kind, max_episode_steps=limit, kwargs=changes)
        names.append(name)
        return name

    yield make
    for name in names:
        del gym.registry[name]


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        (OldStep, {}, "is written in the old step API, which returns one bool"),
        (
            OldReset,
            {},
            r"by `env\.reset\(\)` was not a tuple of the form `\(obs, info\)`.*an array",
        ),
        (NoSeed, {}, r"raised TypeError in its reset\(\): .*seed"),
        (Unknown, {}, r"returned an observation that is not finite: \[ *0\. +nan +0\.\]"),
        (Narrow, {}, r"`reset\(\)` method is not within the observation space: .*\(2,\)"),
        (Broken, {}, r"raised RuntimeError in its step\(\): no simulator"),
        (Five, {"reward": np.array([1.0, 2.0])}, "must be a float, int, .*an array of shape"),
        (Five, {"reward": None}, "must be a float, int, .*a NoneType"),
        (Five, {"reward": "1.0"}, "must be a float, int, .*a str"),
        (Five, {"reward": float("nan")}, "returned a reward that is not finite: nan"),
        (Five, {"truncated": {"score": 1}}, "expects `truncated` signal to be a boolean.*a dict"),
        (Five, {"truncated": None}, "expects `truncated` signal to be a boolean"),
    ],
)
@pytest.mark.parametrize("limit", [5, None])
def test_what_is_not_gymnasium_s_api_is_refused_by_name(
    register: Register, kind: type[Five], changes: dict[str, Any], words: str, limit: int | None
) -> None:
    name = register(kind, limit, **changes)
    with pytest.raises(UsageError, match=rf"the environment '{name}' .*{words}"):
        probed_facts(name)


def test_an_endless_episode_is_refused_where_no_limit_is_stated(register: Register) -> None:
    name = register(Five, None, length=10**9)
    with pytest.raises(UsageError, match=rf"'{name}' states no limit .*--data\.max_episode_steps"):
        probed_facts(name)
    assert probed_facts(name, max_episode_steps=7)["max_episode_steps"] == 7


@pytest.mark.parametrize(
    "reward",
    [
        2.0,
        2,
        np.float32(2),
        np.int64(2),
        np.array([2.0]),
        np.array(2),
        torch.tensor([2.0]),
        Decimal(2),
    ],
)
def test_a_reward_is_a_number_of_any_type(register: Register, reward: Any) -> None:
    name = register(Five, reward=reward)
    assert probed_facts(name)["max_episode_steps"] == 5
    played = rollout(SyncEpisodicVectorEnv(name, 2), _zeros, [1, 2, 3])
    assert played.returns.tolist() == [10.0, 10.0, 10.0]


@pytest.mark.parametrize("signal", [np.bool_(False), 0, np.array([False])])
def test_a_signal_is_a_boolean_of_any_type(register: Register, signal: Any) -> None:
    name = register(Five, truncated=signal)
    assert rollout(SyncEpisodicVectorEnv(name, 1), _zeros, [1]).lengths.tolist() == [5]


def test_what_goes_wrong_later_is_told_in_the_same_words(register: Register) -> None:
    name = register(OldStep, None)
    with pytest.raises(EnvironmentFailure, match=rf"'{name}' cannot be played: it is written in"):
        rollout(SyncEpisodicVectorEnv(name, 1), _zeros, [1])


def test_observations_are_copied_before_the_next_instance_plays(register: Register) -> None:
    envs = SyncEpisodicVectorEnv(register(Reused), 3)
    played = rollout(envs, _zeros, [1, 2, 3])
    own = [id(env.unwrapped) % 97 for env in envs.envs]
    assert played.observations[:, 0, 1].tolist() == own
    assert played.observations[:, 5, 0].tolist() == [5.0, 5.0, 5.0]


def test_actions_are_counted_from_0(register: Register) -> None:
    name = register(FromOne)
    facts = probed_facts(name)
    assert (facts["actions"], facts["num_actions"]) == ("discrete", 2)
    assert rollout(SyncEpisodicVectorEnv(name, 1), _zeros, [1]).returns.tolist() == [5.0]
    assert rollout(SyncEpisodicVectorEnv(name, 1), _ones, [1]).returns.tolist() == [10.0]


def test_a_trial_changes_no_random_numbers() -> None:
    def play() -> list[float]:
        return rollout(SyncEpisodicVectorEnv("CartPole-v1", 2), _zeros, [5, 6]).returns.tolist()

    before = play(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index]
    probed_facts("CartPole-v1")
    after = play(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index]
    assert before == after


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((8, 12), 9), ((8, 12, 1), 9), ((1, 8, 12), 9), ((8, 12, 3), 19), ((3, 8, 12), 19)],
)
def test_channels_last_and_first(shape: tuple[int, ...], expected: int) -> None:
    """A picture of red 9, green 23 and blue 27 is as bright as gray 19."""
    image = np.zeros(shape, np.uint8)
    if 3 in shape:
        colors = np.array([9, 23, 27], np.uint8)
        image[:] = colors if shape[-1] == 3 else colors[:, None, None]
    else:
        image[:] = 9
    env = Five(observation_space=gym.spaces.Box(0, 255, shape, np.uint8))
    gray = GrayScreen(env, 4).observation(image)
    assert gray.shape == (4, 4)
    assert set(gray.ravel().tolist()) == {expected}


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((4, 84, 84), "FrameStackObservation"),
        ((84, 84, 2), "images of 1 or 3 channels"),
        ((1, 84, 3), "either side may be the channels"),
    ],
)
def test_pictures_of_no_known_kind_are_refused(
    register: Register, shape: tuple[int, ...], words: str
) -> None:
    name = register(Five, observation_space=gym.spaces.Box(0, 255, shape, np.uint8))
    with pytest.raises(UsageError, match=rf"observations of '{name}' are .*{words}"):
        probed_facts(name)


def test_an_environment_that_cannot_be_made_is_refused_by_name(register: Register) -> None:
    name = register(Five, limit=None)
    gym.registry[name].entry_point = lambda: 1 / 0
    with pytest.raises(UsageError, match=rf"does not make the environment '{name}': ZeroDiv"):
        probed_facts(name)
    gym.registry[name].entry_point = object  # as an environment of the package gym
    with pytest.raises(UsageError, match=rf"does not make the environment '{name}': TypeError"):
        probed_facts(name)


def _zeros(observations: np.ndarray, *_: np.ndarray) -> np.ndarray:
    return np.zeros(len(observations), np.int64)


def _ones(observations: np.ndarray, *_: np.ndarray) -> np.ndarray:
    return np.ones(len(observations), np.int64)
