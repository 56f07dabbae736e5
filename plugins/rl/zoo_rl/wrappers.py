"""Changes to single environments."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from PIL import Image


class ReturnAtTheEnd(gym.Wrapper[Any, Any, Any, Any]):
    """Pays the whole return with the last step, whether the episode ends by itself or is cut.

    The environment's time limit has to lie inside, where the cut is seen (as LunarLanderSparse in
    Srivastava et al., arXiv:1912.02877v1).

    Args:
        env: The environment.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self._return = 0.0

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        self._return = 0.0
        return self.env.reset(**options)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """A step, with reward 0 until the last."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._return += float(reward)
        paid = self._return if terminated or truncated else 0.0
        return observation, paid, terminated, truncated, info


class CountedFromZero(gym.ActionWrapper[Any, Any, Any]):
    """A choice of actions that are counted from another number, counted from 0.

    Args:
        env: An environment whose actions are ``Discrete``.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        inner: Any = env.action_space
        self._start = int(inner.start)
        self.action_space = gym.spaces.Discrete(int(inner.n))

    def action(self, action: Any) -> int:
        """The environment's own number of an action."""
        return int(action) + self._start


_CHANNELS = (1, 3, 4)


def channels_of(shape: tuple[int, ...]) -> str:
    """Where images of a shape have their channels: ``none``, ``last`` or ``first``.

    Args:
        shape: (H, W), (H, W, C) or (C, H, W); 1 channel is gray, 3 are RGB, 4 RGBA if they come
            last.

    Raises:
        ValueError: the shape is of neither kind, or of both; the sentence is about the shape.
    """
    if len(shape) == 2:
        return "none"
    first, last = shape[0] in (1, 3), shape[2] in _CHANNELS
    if first and last and shape[0] != shape[2]:
        raise ValueError(
            "either side may be the channels; images with the channels last are served"
        )
    if first or last:
        return "last" if last else "first"
    raise ValueError(
        "images of 1 or 3 channels, or 4 that come last, are served; frames are stacked here, so "
        "register the environment without its own FrameStackObservation"
    )


class GrayScreen(gym.ObservationWrapper[Any, Any, Any]):
    """Images as gray squares: uint8 (size, size), each pixel the mean of what it covers.

    Args:
        env: An environment that observes images uint8 (H, W), (H, W, C) or (C, H, W) as of
            `channels_of`, or a dict that holds one.
        size: Side of the square, in pixels.
        key: Where in the dict; empty if the observation is the image.
    """

    def __init__(self, env: gym.Env[Any, Any], size: int = 32, key: str = "") -> None:
        super().__init__(env)
        self._size, self._key = size, key
        space: Any = env.observation_space
        self._channels = channels_of((space[key] if key else space).shape)
        self.observation_space = gym.spaces.Box(0, 255, (size, size), np.uint8)

    def observation(self, observation: Any) -> np.ndarray:
        """The gray square of an observation."""
        return self._square(observation, "L")

    def _square(self, observation: Any, mode: str) -> np.ndarray:
        pixels = np.asarray(observation[self._key] if self._key else observation)
        if self._channels == "first":
            pixels = pixels.transpose(1, 2, 0)
        if pixels.shape[2:] == (1,):
            pixels = pixels[..., 0]
        image = Image.fromarray(np.ascontiguousarray(pixels))
        square = image.convert(mode).resize((self._size, self._size), Image.Resampling.BOX)
        return np.asarray(square)


class ColorScreen(GrayScreen):
    """The same in color, channels first: uint8 (3, size, size)."""

    def __init__(self, env: gym.Env[Any, Any], size: int = 32, key: str = "") -> None:
        super().__init__(env, size, key)
        self.observation_space = gym.spaces.Box(0, 255, (3, size, size), np.uint8)

    def observation(self, observation: Any) -> np.ndarray:
        """The square of an observation."""
        return self._square(observation, "RGB").transpose(2, 0, 1)
