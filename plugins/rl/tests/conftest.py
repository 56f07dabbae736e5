"""Tiny scripted environments whose every transition is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest


class Script(gym.Env[np.ndarray, np.int64]):
    """Episodes of ``seed % 5 + 1`` steps. It observes (seed, steps so far, last action) and pays
    ``10 * steps + action``.

    Args:
        truncates: Ends its episodes by truncation.
        fault: ``raise``, ``nan-observation`` or ``nan-reward`` in the third step of an episode,
            ``raise-reset``, or ``endless``.
    """

    observation_space = gym.spaces.Box(-np.inf, np.inf, (3,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, truncates: bool = False, fault: str = "", **options: Any) -> None:
        self.truncates, self.fault = truncates, fault
        self.resets: list[int | None] = []
        self.ended = True

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        if self.fault == "raise-reset":
            raise OSError("no such ROM")
        super().reset(seed=seed)
        assert seed is not None, "every episode is seeded"
        self.resets.append(seed)
        self.seed, self.steps, self.ended = seed, 0, False
        return np.array([seed, 0, -1], np.float32), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        assert not self.ended, "a step after the end"
        assert action in (0, 1)
        self.steps += 1
        reward = 10.0 * self.steps + float(action)
        observation = np.array([self.seed, self.steps, action], np.float32)
        if self.steps == 3 and self.fault == "raise":
            raise ValueError("the pole\n broke")
        if self.steps == 3 and self.fault == "nan-observation":
            observation[1] = np.nan
        if self.steps == 3 and self.fault == "nan-reward":
            reward = float("nan")
        self.ended = self.steps == self.seed % 5 + 1 and self.fault != "endless"
        over = (self.ended and not self.truncates, self.ended and self.truncates)
        return observation, reward, *over, {}


@pytest.fixture(autouse=True)
def scripts() -> Iterator[None]:
    """The environments registered as ``Script-v0`` and, with limit and faults, more."""
    made = {
        "Script-v0": {},
        "ScriptCut-v0": {"truncates": True},
        "ScriptRaises-v0": {"fault": "raise"},
        "ScriptNeverBegins-v0": {"fault": "raise-reset"},
        "ScriptObservesNaN-v0": {"fault": "nan-observation"},
        "ScriptPaysNaN-v0": {"fault": "nan-reward"},
        "ScriptEndless-v0": {"fault": "endless"},
    }
    for name, options in made.items():
        gym.register(name, entry_point=Script, kwargs=options)
    gym.register("ScriptLimited-v0", entry_point=lambda: gym.wrappers.TimeLimit(Script(), 4))
    yield
    for name in (*made, "ScriptLimited-v0"):
        del gym.registry[name]
