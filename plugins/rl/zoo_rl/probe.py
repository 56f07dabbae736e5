"""An environment tried before anything is trained: what it does wrong is found at the start."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium as gym
import numpy as np

from zoo.plugin import UsageError
from zoo_rl.api import ApiError, read_reset, read_step
from zoo_rl.environments import describe, make
from zoo_rl.rollout import STEP_LIMIT

_SEED = 1


def probed_facts(name: str, **options: Any) -> dict[str, Any]:
    """The facts of an environment that was tried: one step, and of one that states no limit an
    episode to its end.

    It is tried in an instance of its own, which nothing else is played in, and by actions of
    generators of its own: the episodes of a training are the same with and without.

    Args:
        name: The environment's id.
        options: Of ``zoo_rl.environments.make``.

    Returns:
        See ``zoo_rl.environments.describe``.

    Raises:
        UsageError: as for ``make`` and ``describe``; or the environment raises an error, does not
            return what gymnasium's API says, returns a number that is not finite, or has no limit
            and does not end.
    """
    env = make(name, **options)
    try:
        facts = describe(env, name)
        _try_bare(env.unwrapped, name)
        _try_played(env, name, 1 if facts["max_episode_steps"] else STEP_LIMIT)
    finally:
        env.close()
    return facts


def _try_bare(env: gym.Env[Any, Any], name: str) -> None:
    """One step without the wrappers, which stumble over what they do not expect."""
    actions = copy.deepcopy(env.action_space)
    actions.seed(_SEED)
    # Only the frame of what it returns matters here: its spaces may be any that a wrapper serves.
    first = _asked(name, "reset", lambda: env.reset(seed=_SEED))
    _checked(name, lambda: read_reset(_without_observation(first), ()))
    after = _asked(name, "step", lambda: env.step(actions.sample()))
    _checked(name, lambda: read_step(_without_observation(after), ()))


def _try_played(env: gym.Env[Any, Any], name: str, limit: int) -> None:
    """As episodes are played, up to so many steps."""
    shape = env.observation_space.shape or ()
    actions = copy.deepcopy(env.action_space)
    actions.seed(_SEED)
    first = _asked(name, "reset", lambda: env.reset(seed=_SEED))
    _finite(name, _checked(name, lambda: read_reset(first, shape)), "an observation")
    for _ in range(limit):
        after = _asked(name, "step", lambda: env.step(actions.sample()))
        observation, reward, terminated, truncated = _checked(
            name, lambda after=after: read_step(after, shape)
        )
        _finite(name, observation, "an observation")
        _finite(name, np.array(reward), "a reward")
        if terminated or truncated:
            return
    if limit > 1:
        raise UsageError(
            f"the environment {name!r} states no limit and did not end an episode of random "
            f"actions within {limit} steps: set --data.max_episode_steps, where episodes are cut"
        )


def _without_observation(result: Any) -> Any:
    return (0, *result[1:]) if isinstance(result, tuple) and result else result


def _asked(name: str, method: str, call: Any) -> Any:
    try:
        return call()
    except Exception as error:  # third-party code
        text = " ".join(str(error).split())
        raise UsageError(
            f"the environment {name!r} raised {type(error).__name__} in its {method}(): {text}"
        ) from error


def _checked(name: str, read: Any) -> Any:
    try:
        return read()
    except ApiError as error:
        raise UsageError(f"the environment {name!r} cannot be played: {error}") from error


def _finite(name: str, values: np.ndarray, what: str) -> None:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise UsageError(f"the environment {name!r} returned {what} that is not finite: {values}")
