"""FetchPush: an arm pushes a block to a place on a table, by impulses."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.plugin import MissingDependencyError, UsageError, install_hint
from zoo_hpg.environments.base import require_numbers


class FetchPush:
    """Simulations side by side. An action adds a weak or strong impulse along an axis of the
    table to the gripper's velocity, which stays within -1 to 1 and is part of the observation.

    The paper used FetchPush-v1, which no longer runs; this is v4 of gymnasium-robotics.

    Raises:
        UsageError: at the first reset: gymnasium-robotics is not installed, or does not work with
            the installed MuJoCo.
    """

    tolerance = 0.05
    """Metres between the block and the goal."""
    horizon = 50
    observation_shape: tuple[int, ...] = (29,)
    goal_size = 3

    def __init__(self) -> None:
        both = [(axis, impulse) for impulse in (0.1, -0.1, 1.0, -1.0) for axis in "xy"]
        self.action_names = [f"{axis} {impulse:+g}" for axis, impulse in both]
        impulses = [[impulse * (axis == each) for each in "xy"] for axis, impulse in both]
        self._impulses = np.pad(np.array(impulses), ((0, 0), (0, 2)))
        self._simulations: list[Any] = []
        self._velocities = np.zeros((0, 4))

    def reset(
        self, episodes: int, random: torch.Generator, goals: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Begin; see ``Environment.reset``. Observations are float32 (N, 29)."""
        self._make(episodes)
        self._velocities = np.zeros((episodes, 4))
        device = random.device
        seeds = torch.randint(1 << 31, (episodes,), generator=random, device=device).tolist()
        seen = [
            simulation.reset(seed=seed)[0]
            for simulation, seed in zip(self._simulations[:episodes], seeds, strict=True)
        ]
        if goals is None:
            drawn = np.stack([each["desired_goal"] for each in seen])
            goals = torch.from_numpy(drawn).float().to(device)
        return *self._look(seen, device), goals

    def step(self, actions: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Give an impulse in every simulation; see ``Environment.step``."""
        added = self._velocities + self._impulses[actions.cpu().numpy()]
        self._velocities = added.clip(-1, 1)
        simulations = self._simulations[: len(actions)]
        seen = [
            simulation.step(velocity.astype(np.float32))[0]
            for simulation, velocity in zip(simulations, self._velocities, strict=True)
        ]
        return *self._look(seen, actions.device), torch.zeros_like(actions, dtype=torch.bool)

    def read_goal(self, numbers: list[float]) -> Tensor:
        """A goal (3,) from x and y on the table, in metres.

        Raises:
            UsageError: there are not two numbers, or the goals of this environment lie elsewhere.
        """
        require_numbers(numbers, 2, "it takes x and y in metres, such as 1.3,0.8")
        self._make(1)
        inner = self._simulations[0].unwrapped
        inner.reset(seed=0)
        center, reach = inner.initial_gripper_xpos[:2], inner.target_range
        if (np.abs(np.array(numbers) - center) > reach).any():
            ranges = " and ".join(
                f"{axis} from {middle - reach:.2f} to {middle + reach:.2f}"
                for axis, middle in zip("xy", center, strict=True)
            )
            raise UsageError(
                f"the goal {numbers[0]:g},{numbers[1]:g} lies outside the table's goals: {ranges}"
            )
        return torch.tensor([*numbers, float(inner.height_offset)])

    def _make(self, count: int) -> None:
        while len(self._simulations) < count:
            self._simulations.append(_simulation())

    def _look(self, seen: list[Any], device: torch.device) -> tuple[Tensor, Tensor]:
        states = np.stack([each["observation"] for each in seen])
        observations = np.concatenate([states, self._velocities], 1)
        achieved = np.stack([each["achieved_goal"] for each in seen])
        return (
            torch.from_numpy(observations).float().to(device),
            torch.from_numpy(achieved).float().to(device),
        )


def _simulation() -> Any:
    if not find_spec("gymnasium_robotics"):
        raise MissingDependencyError(
            "FetchPush needs gymnasium-robotics: " + install_hint("zoo-hpg[robotics]")
        )
    import gymnasium
    import gymnasium_robotics

    gymnasium.register_envs(gymnasium_robotics)
    try:
        return gymnasium.make("FetchPush-v4", disable_env_checker=True).unwrapped
    except AssertionError as error:  # of MuJoCo 3.12 and later: its joint types became an enum
        raise UsageError(
            "FetchPush does not work with the installed MuJoCo: pip install 'mujoco<3.12'"
        ) from error
