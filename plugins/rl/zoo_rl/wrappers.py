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


class GrayScreen(gym.ObservationWrapper[Any, Any, Any]):
    """Images as gray squares: uint8 (size, size), each pixel the mean of what it covers.

    Args:
        env: An environment that observes images uint8 (H, W), (H, W, 1) or (H, W, 3), or a dict
            that holds one.
        size: Side of the square, in pixels.
        key: Where in the dict; empty if the observation is the image.
    """

    def __init__(self, env: gym.Env[Any, Any], size: int = 32, key: str = "") -> None:
        super().__init__(env)
        self._size, self._key = size, key
        self.observation_space = gym.spaces.Box(0, 255, (size, size), np.uint8)

    def observation(self, observation: Any) -> np.ndarray:
        """The gray square of an observation."""
        pixels = np.asarray(observation[self._key] if self._key else observation)
        image = Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels)
        gray = image.convert("L").resize((self._size, self._size), Image.Resampling.BOX)
        return np.asarray(gray)
