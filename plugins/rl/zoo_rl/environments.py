"""Environments by gymnasium id: made, named when unknown, and their spaces as facts."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from zoo.plugin import (
    MissingDependencyError,
    UsageError,
    at_least,
    install_hint,
    nearest,
    require_trusted_module,
)
from zoo_rl.wrappers import ColorScreen, CountedFromZero, GrayScreen, ReturnAtTheEnd, channels_of

# Without a display pygame would look for one, also where nothing is drawn.
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

SPARSE = {"LunarLanderSparse-v3": "LunarLander-v3"}
"""Environments whose whole return is paid at the last step, and what they are made of."""

TAKE_COVER = "VizdoomTakeCover-v1"
TAKE_COVER_TICS = 2100
"""Its configuration ends no episode; the paper's do after 2100 tics, that is 60 seconds."""

_EXTRAS = {
    "Box2D": "box2d",
    "box2d": "box2d",
    "envpool": "envpool",
    "mujoco": "mujoco",
    "vizdoom": "vizdoom",
}
_VIZDOOM = {
    "screen_resolution": "RES_160X120",
    "screen_format": "GRAY8",
}


@cache
def _private_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder of this process alone, gone when it ends: ViZDoom keeps its settings in a file, in
    the working directory unless told otherwise."""
    return tempfile.TemporaryDirectory(prefix="zoo-rl-")


def sparse(base: str, limit: int | None = None, **options: Any) -> gym.Env[Any, Any]:
    """The environment ``base``, cut after ``limit`` steps, with its whole return paid at the last
    step."""
    env = gym.make(base, max_episode_steps=limit, disable_env_checker=True, **options)
    return ReturnAtTheEnd(env)


for _name, _base in SPARSE.items():
    gym.register(
        _name,
        entry_point="zoo_rl.environments:sparse",
        kwargs={"base": _base},
        disable_env_checker=True,
    )


def make(
    name: str,
    max_episode_steps: int | None = None,
    render_mode: str | None = None,
    screen_size: int = 32,
    color: bool = False,
) -> gym.Env[Any, Any]:
    """An environment by its gymnasium id.

    Observations that are images, with their channels last or first, become square, and gray or RGB;
    actions that are counted from another number than 0 are counted from 0.
    ``LunarLanderSparse-v3`` is LunarLander with its whole return paid at the end,
    ``VizdoomTakeCover-v1`` ends after 2100 tics.

    Args:
        name: Such as ``CartPole-v1``, or ``package.module:Mine-v0`` for one that a module of
            yours registers.
        max_episode_steps: Where its episodes are cut; the environment's own limit without.
        render_mode: ``rgb_array`` for one whose ``render()`` gives images.
        screen_size: Side of the images that observations are made, in pixels.
        color: Keep their color, with the channels first.

    Raises:
        UsageError: there is none of that id, or (``MissingDependencyError``) its package is not
            installed.
    """
    if max_episode_steps is not None:
        at_least("max_episode_steps", max_episode_steps, 1)
    options: dict[str, Any] = {}
    if name.startswith("Vizdoom"):
        options |= _vizdoom_options(name, color)
    if name == TAKE_COVER and max_episode_steps is None:
        max_episode_steps = TAKE_COVER_TICS
    if render_mode is not None:
        options["render_mode"] = render_mode
    if name in SPARSE and max_episode_steps is not None:
        # Inside, so that the return is paid where the episode is cut.
        options["limit"], max_episode_steps = max_episode_steps, None
    _require_registered(name)
    try:
        env = gym.make(
            name, max_episode_steps=max_episode_steps, disable_env_checker=True, **options
        )
    except (gym.error.DependencyNotInstalled, ImportError) as error:
        raise _missing_package(name, error) from error
    except Exception as error:  # third-party code
        text = " ".join(str(error).split())
        if not isinstance(error, gym.error.Error):
            text = f"{type(error).__name__}: {text}"
        raise UsageError(f"gymnasium does not make the environment {name!r}: {text}") from error
    if isinstance(env.action_space, spaces.Discrete) and env.action_space.start != 0:
        env = CountedFromZero(env)
    return _with_square_images(env, screen_size, name, color)


def require_trusted(name: str) -> None:
    """Refuse an id with a module part (``package.module:Mine-v0``), which gymnasium imports, where
    a bundle or somebody's recipe names it and the user did not allow the module.

    Raises:
        UsageError: it is not allowed.
    """
    module, _, _ = name.rpartition(":")
    if module:
        require_trusted_module(module, f"the environment {name!r}")


def _require_registered(name: str) -> None:
    """Refuse an id that is not registered, with the nearest that are."""
    module, _, rest = name.rpartition(":")
    if module:  # gymnasium imports the module, which registers it
        return
    if rest in gym.registry:
        return
    known = [each for each in gym.registry if "/" not in each]
    newer = [each for each in known if each.rpartition("-v")[0] == rest.rpartition("-v")[0]]
    near = " or ".join(map(repr, newer)) or nearest(name, known)
    hint = f"did you mean {near}?" if near else "`python -m gymnasium.envs` lists those there are"
    raise UsageError(
        f"there is no environment {name!r}; {hint} An environment of your own is named "
        "'package.module:Name-v0', where the module registers it with gymnasium"
    )


def _vizdoom_options(name: str, color: bool) -> dict[str, Any]:
    _import_vizdoom(name)
    options = {**_VIZDOOM, "doom_config_path": str(Path(_private_folder().name) / "vizdoom.ini")}
    return options | ({"screen_format": "RGB24"} if color else {})


def _import_vizdoom(name: str) -> None:
    try:
        import vizdoom.gymnasium_wrapper  # noqa: F401
    except ImportError as error:
        raise _missing_package(name, error) from error


def _missing_package(name: str, error: Exception) -> MissingDependencyError:
    entry = str(getattr(gym.registry.get(name), "entry_point", "")) + str(
        getattr(gym.registry.get(SPARSE.get(name, "")), "entry_point", "")
    )
    text = f"{entry} {error}"
    extra = next((extra for word, extra in _EXTRAS.items() if word in text), None)
    install = install_hint(f"zoo-rl[{extra}]") if extra else "install the package it asks for"
    reason = " ".join(str(error).split())
    return MissingDependencyError(f"the environment {name!r} needs a package: {install} ({reason})")


def _with_square_images(
    env: gym.Env[Any, Any], size: int, name: str, color: bool
) -> gym.Env[Any, Any]:
    space, key = env.observation_space, ""
    if isinstance(space, spaces.Dict) and "screen" in space.spaces:
        space, key = space.spaces["screen"], "screen"
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8:
        return env
    if len(space.shape) not in (2, 3):
        return env
    try:
        channels_of(space.shape)
    except ValueError as error:
        raise UsageError(f"observations of {name!r} are {space}: {error}") from error
    return (ColorScreen if color else GrayScreen)(env, size, key)


def describe(env: gym.Env[Any, Any], name: str) -> dict[str, Any]:
    """The facts of an environment, under the names that models take them by.

    Returns:
        ``observation_shape`` (list of lengths; three of them, frames or channels first, are an
        image),
        ``actions`` (``discrete`` or ``continuous``), ``num_actions`` (how many there are to choose
        from, or numbers in one), ``action_low`` and ``action_high`` (lists, empty for discrete
        ones), ``max_episode_steps`` (0 where there is no limit) and ``environment``.

    Raises:
        UsageError: observations or actions are of a kind that is not supported.
    """
    observed, acted = env.observation_space, env.action_space
    colored = isinstance(observed, spaces.Box) and (len(observed.shape), *observed.shape[:1]) == (
        3,
        3,
    )
    axes = (1, 2, 3) if colored else (1, 2)
    if not isinstance(observed, spaces.Box) or len(observed.shape) not in axes:
        raise UsageError(
            f"observations of {name!r} are {observed}; vectors of numbers (a Box of one axis) and "
            "images in uint8 are supported: wrap the environment, for example in gymnasium's "
            "FlattenObservation, and register that"
        )
    if len(observed.shape) > 1 and observed.dtype != np.uint8:
        raise UsageError(
            f"observations of {name!r} are {observed}, of several axes and not uint8 images: "
            "register it within gymnasium's FlattenObservation"
        )
    shape = list(observed.shape)
    facts: dict[str, Any] = {
        "environment": name,
        "observation_shape": [1, *shape] if len(shape) == 2 else shape,
        # A TimeLimit anywhere inside writes its limit into the spec.
        "max_episode_steps": (env.spec.max_episode_steps if env.spec else None) or 0,
    }
    if isinstance(acted, spaces.Discrete) and acted.start == 0:  # as `make` has them
        return facts | {
            "actions": "discrete",
            "num_actions": int(acted.n),
            "action_low": [],
            "action_high": [],
        }
    if _is_vector_of_bounded_numbers(acted):
        return facts | {
            "actions": "continuous",
            "num_actions": int(acted.shape[0]),
            "action_low": [float(value) for value in acted.low],
            "action_high": [float(value) for value in acted.high],
        }
    raise UsageError(
        f"actions of {name!r} are {acted}; one choice (Discrete) or a vector of bounded numbers "
        "(a Box of floats, of one axis, each upper bound above the lower) are supported: register "
        "it within gymnasium's TransformAction, which makes one of these of its actions"
    )


def _is_vector_of_bounded_numbers(space: gym.Space[Any]) -> TypeGuard[spaces.Box]:
    if not isinstance(space, spaces.Box) or not space.is_bounded():
        return False
    low, high = np.asarray(space.low), np.asarray(space.high)
    return low.ndim == 1 and low.dtype.kind == "f" and bool((high > low).all())
