"""What ``reset`` and ``step`` of an environment have to return, in the words of gymnasium's
checker."""

from __future__ import annotations

from typing import Any

import numpy as np

_CURRENT = (
    "; environments of the package gym, or of gymnasium before 0.26, are wrapped for today's API "
    "by shimmy's GymV21CompatibilityV0 and GymV26CompatibilityV0"
)


class ApiError(ValueError):
    """An environment returned something else than gymnasium's API says."""


def read_reset(result: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The first observation, copied.

    Args:
        result: Of ``env.reset()``.
        shape: Of an observation, as the space says.

    Raises:
        ApiError: it is not ``(obs, info)``, or the observation has another shape.
    """
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], dict):
        raise ApiError(
            "the result returned by `env.reset()` was not a tuple of the form `(obs, info)`, "
            f"where `info` is a dictionary; actual: {_kind(result)}{_CURRENT}"
        )
    return _observation(result[0], shape, "reset")


def read_step(result: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, float, bool, bool]:
    """Observation, copied as environments may write into it again, reward, terminated and
    truncated.

    Args:
        result: Of ``env.step(action)``.
        shape: Of an observation, as the space says.

    Raises:
        ApiError: it is not ``(obs, reward, terminated, truncated, info)``, the observation has
            another shape, the reward is not one number, or a signal not a boolean.
    """
    if not isinstance(result, tuple) or len(result) not in (4, 5):
        raise ApiError(
            "expected `env.step()` to return a tuple of five elements, `(obs, reward, terminated, "
            f"truncated, info)`; actual: {_kind(result)}"
        )
    if len(result) == 4:
        raise ApiError(
            "it is written in the old step API, which returns one bool, `(obs, reward, done, "
            "info)`, instead of two, `(obs, reward, terminated, truncated, info)`" + _CURRENT
        )
    observation, reward, terminated, truncated, _ = result
    return (
        _observation(observation, shape, "step"),
        _reward(reward),
        _signal(terminated, "terminated"),
        _signal(truncated, "truncated"),
    )


def _observation(given: Any, shape: tuple[int, ...], method: str) -> np.ndarray:
    observation = np.array(given)
    if observation.shape != shape or observation.dtype.kind not in "biuf":
        raise ApiError(
            f"the obs returned by the `{method}()` method is not within the observation space: it "
            f"is of shape {observation.shape} and type {observation.dtype}, and the space's shape "
            f"is {shape}"
        )
    return observation


def _reward(given: Any) -> float:
    """One number, of any of the types that numbers come in."""
    if isinstance(given, float):  # np.float64 too
        return given
    array = np.asarray(given)
    if array.size == 1 and array.dtype.kind in "biuf":
        return float(array.reshape(-1)[0])
    if array.dtype.kind == "O" and hasattr(given, "__float__"):  # Decimal, Fraction
        return float(given)
    raise ApiError(
        "the reward returned by `step()` must be a float, int, np.integer or np.floating; actual: "
        + _kind(given)
    )


def _signal(given: Any, name: str) -> bool:
    if isinstance(given, bool):
        return given
    array = np.asarray(given)
    if array.size == 1 and array.dtype.kind in "biu":
        return bool(array.reshape(-1)[0])
    raise ApiError(f"expects `{name}` signal to be a boolean; actual: {_kind(given)}")


def _kind(given: Any) -> str:
    if isinstance(given, tuple):
        return f"a tuple of {', '.join(type(part).__name__ for part in given) or 'nothing'}"
    if isinstance(given, np.ndarray):
        return f"an array of shape {given.shape} and type {given.dtype}"
    return f"a {type(given).__name__}"
