"""Environments by name, and what is said of those that cannot be served."""

from __future__ import annotations

import sys

import gymnasium as gym
import numpy as np
import pytest

from zoo.plugin import UsageError
from zoo_rl.environments import TAKE_COVER, describe, make
from zoo_rl.vector import make_vec
from zoo_rl.wrappers import ColorScreen, GrayScreen


class Still(gym.Env):
    """An environment of any spaces, in which nothing happens."""

    def __init__(self, observed: gym.Space, acted: gym.Space) -> None:
        self.observation_space, self.action_space = observed, acted


def test_facts_of_discrete_actions() -> None:
    assert describe(make("CartPole-v1"), "CartPole-v1") == {
        "environment": "CartPole-v1",
        "observation_shape": [4],
        "max_episode_steps": 500,
        "actions": "discrete",
        "num_actions": 2,
        "action_low": [],
        "action_high": [],
    }


def test_facts_of_continuous_actions() -> None:
    facts = describe(make("Pendulum-v1"), "Pendulum-v1")
    assert (facts["actions"], facts["num_actions"]) == ("continuous", 1)
    assert (facts["action_low"], facts["action_high"]) == ([-2.0], [2.0])


def test_a_limit_of_steps_replaces_the_environments_own() -> None:
    def limit(env: gym.Env) -> int:
        return describe(env, "x")["max_episode_steps"]

    assert limit(make("CartPole-v1", 7)) == 7
    assert limit(make("LunarLanderSparse-v3")) == 1000
    assert limit(make("LunarLanderSparse-v3", 9)) == 9
    assert limit(make("Script-v0")) == 0
    assert limit(make("ScriptLimited-v0")) == 4


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("CartPol-v1", "'CartPole-v1'"),
        ("LunarLander-v7", "'LunarLander-v3'"),
        ("LunarLanderSparse", "'LunarLanderSparse-v3'"),
        ("Zzzzzz", "lists those there are"),
    ],
)
def test_an_unknown_environment_is_answered_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UsageError, match="there is no environment") as caught:
        make(name)
    assert near in str(caught.value)


@pytest.mark.parametrize(
    ("module", "name", "extra"),
    [
        ("Box2D", "LunarLander-v3", "box2d"),
        ("Box2D", "LunarLanderSparse-v3", "box2d"),
        ("mujoco", "Swimmer-v5", "mujoco"),
        ("vizdoom", "VizdoomTakeCover-v1", "vizdoom"),
    ],
)
def test_a_missing_package_is_named_by_its_extra(
    module: str, name: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for loaded in list(sys.modules):
        part = loaded.split(".")[0] == module or ".mujoco" in loaded or ".box2d" in loaded
        if part:
            monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=rf'pip install --find-links DIST "zoo-rl\[{extra}\]"'):
        make(name)


def test_a_missing_envpool_is_named_by_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "envpool", None)
    with pytest.raises(UsageError, match=r'pip install --find-links DIST "zoo-rl\[envpool\]"'):
        make_vec("CartPole-v1", 2, "envpool")


def test_what_envpool_lacks_is_refused() -> None:
    pytest.importorskip("envpool")
    with pytest.raises(UsageError, match=r"take --data\.backend sync"):
        make_vec("Script-v0", 2, "envpool")


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(UsageError, match="backend has to be one of sync, envpool, not 'async'"):
        make_vec("CartPole-v1", 2, "async")


@pytest.mark.parametrize(
    ("observed", "acted", "what"),
    [
        (gym.spaces.Discrete(4), gym.spaces.Discrete(2), "observations of 'Still' are Discrete"),
        (gym.spaces.Box(0, 1, (2, 2)), gym.spaces.Discrete(2), "FlattenObservation"),
        (gym.spaces.Box(0, 1, (2,)), gym.spaces.MultiDiscrete([2, 2]), "actions of 'Still' are"),
        (gym.spaces.Box(0, 1, (2,)), gym.spaces.Box(-np.inf, 1, (2,)), "bounded numbers"),
        (gym.spaces.Box(0, 1, (2,)), gym.spaces.Box(0, 5, (1,), np.int64), "a Box of floats"),
        (gym.spaces.Box(0, 1, (2,)), gym.spaces.Box(-1, 1, (2, 2)), "of one axis"),
        (gym.spaces.Box(0, 1, (2,)), gym.spaces.Box(1, 1, (2,)), "upper bound above the lower"),
    ],
)
def test_spaces_that_are_not_supported_are_refused(
    observed: gym.Space, acted: gym.Space, what: str
) -> None:
    with pytest.raises(UsageError, match=what):
        describe(Still(observed, acted), "Still")


def test_a_limit_below_one_step_is_refused() -> None:
    with pytest.raises(UsageError, match="max_episode_steps has to be 1 or more, not 0"):
        make("CartPole-v1", 0)


@pytest.mark.parametrize("shape", [(8, 12), (8, 12, 1), (8, 12, 3)])
def test_images_become_gray_squares(shape: tuple[int, ...]) -> None:
    env = GrayScreen(Still(gym.spaces.Box(0, 255, shape, np.uint8), gym.spaces.Discrete(2)), 4)
    image = np.zeros(shape, np.uint8)
    image[:2, :3] = 200  # what the first of 4 x 4 squares covers
    gray = env.observation(image)
    assert (gray.shape, gray.dtype) == ((4, 4), np.uint8)
    assert gray[0, 0] == 200
    assert not gray[1:].any()
    assert not gray[0, 1:].any()


def test_take_cover_is_gray_small_and_ends_after_2100_tics() -> None:
    pytest.importorskip("vizdoom")
    env = make(TAKE_COVER)
    facts = describe(env, TAKE_COVER)
    assert facts["observation_shape"] == [1, 32, 32]
    assert (facts["num_actions"], facts["max_episode_steps"]) == (3, 2100)
    first, _ = env.reset(seed=1)
    again, _ = env.reset(seed=1)
    assert first.dtype == np.uint8
    assert first.std() > 1
    np.testing.assert_array_equal(first, again)
    env.close()


@pytest.mark.parametrize("shape", [(8, 8, 3), (3, 8, 8)])
def test_color_is_kept_with_channels_first(shape: tuple[int, ...]) -> None:
    env = ColorScreen(Still(gym.spaces.Box(0, 255, shape, np.uint8), gym.spaces.Discrete(2)), 4)
    image = np.zeros((8, 8, 3), np.uint8)
    image[:4, :, 0], image[4:, :, 2] = 200, 100  # red above blue
    seen = env.observation(image if shape[2] == 3 else image.transpose(2, 0, 1))
    assert seen.shape == (3, 4, 4)
    assert [seen[channel, row, 0] for row in (0, 3) for channel in range(3)] == [
        200,
        0,
        0,
        0,
        0,
        100,
    ]
    assert describe(env, "Still-v0")["observation_shape"] == [3, 4, 4]
