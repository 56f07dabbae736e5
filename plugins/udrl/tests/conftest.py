"""A tiny environment: how far a walker comes, which pays for what its actions say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest


class Corridor(gym.Env[np.ndarray, Any]):
    """Ten steps; going right (1) pays 1. It observes its place and the steps made.

    ``failures`` says at which steps, counted over all of its episodes, it raises an error.
    """

    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 20}
    steps_made = 0
    failures: ClassVar[set[int]] = set()

    def __init__(self, continuous: bool = False, render_mode: str | None = None) -> None:
        box = gym.spaces.Box(-1, 1, (1,), np.float32)
        self.action_space = box if continuous else gym.spaces.Discrete(2)
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.place, self.steps = float(self.np_random.integers(3)), 0
        return self._observed(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        Corridor.steps_made += 1
        if Corridor.steps_made in Corridor.failures:
            raise RuntimeError("the simulator died")
        reward = float(np.ravel(action)[0] > 0)
        self.place += reward
        self.steps += 1
        return self._observed(), reward, self.steps == 10, False, {}

    def render(self) -> np.ndarray:
        image = np.zeros((16, 32, 3), np.uint8)
        image[:, int(self.place)] = 255
        return image

    def _observed(self) -> np.ndarray:
        return np.array([self.place, self.steps], np.float32)


class Screen(Corridor):
    """The same, seen as an image."""

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        self.observation_space = gym.spaces.Box(0, 255, (16, 32, 3), np.uint8)

    def _observed(self) -> np.ndarray:
        return self.render()


@pytest.fixture(autouse=True)
def corridor() -> Iterator[type[Corridor]]:
    """``Corridor-v0``, ``CorridorContinuous-v0`` and ``CorridorScreen-v0``."""
    gym.register("Corridor-v0", entry_point=Corridor)
    gym.register("CorridorContinuous-v0", entry_point=Corridor, kwargs={"continuous": True})
    gym.register("CorridorScreen-v0", entry_point=Screen)
    Corridor.steps_made, Corridor.failures = 0, set()
    yield Corridor
    for name in ("Corridor-v0", "CorridorContinuous-v0", "CorridorScreen-v0"):
        del gym.registry[name]
