"""A learnt world as an environment of gymnasium: any library of agents trains in it.

world = zoo.load("recipe:worldmodels/logs-lunarlander-model")
envs = Dream(world, num_envs=16, temperature=1.15)
"""

from __future__ import annotations

import warnings
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from zoo.plugin import UsageError, at_least, one_of
from zoo_worldmodels.memories.base import State
from zoo_worldmodels.world_model import WorldModel


class Dream(VectorEnv[Any, Any, Any]):
    """Many dreams at once.

    A step is drawn from the world model; an episode ends where the model holds the end for likelier
    than not, and is cut after ``max_episode_steps``. A dream that is over begins anew with the next
    step, as gymnasium's vector environments do by default.

    A policy makes use of the model's errors. The higher the temperature, the less of them can be
    relied on (arXiv:1803.10122, section 4.5).

    Args:
        world_model: A trained ``world-model``, as ``zoo.load`` gives it.
        num_envs: Dreams.
        temperature: From 0.
        max_episode_steps: Where episodes are cut; None: as in the world, or 1,000 where it has no
            limit.
        observe: ``observation``: what the world would show, or the code of it where that is a
            picture; ``readout``: that, standardized, with what the memory knows.

    Raises:
        UsageError: an argument is out of its range, or this is no world model.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012  # as gymnasium declares it
        "render_modes": [],
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        world_model: Any,
        num_envs: int = 16,
        temperature: float = 1.0,
        max_episode_steps: int | None = None,
        observe: Literal["observation", "readout"] = "observation",
    ) -> None:
        self._world = checked_world(world_model)
        at_least("num_envs", num_envs, 1)
        at_least("temperature", temperature, 0)
        one_of("observe", observe, ("observation", "readout"))
        if max_episode_steps is not None:
            at_least("max_episode_steps", max_episode_steps, 1)
        self.num_envs = num_envs
        self._temperature, self._observe = temperature, observe
        self._limit = max_episode_steps or self._world.hparams["max_episode_steps"] or 1000
        memory = self._world.memory
        size = memory.features if observe == "observation" else memory.readout_size
        self.single_observation_space = gym.spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self.single_action_space = action_space(self._world)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._state: State | None = None
        self._steps = np.zeros(num_envs, np.int64)
        self._over = np.zeros(num_envs, np.bool_)
        self._random = torch.Generator()

    def reset(
        self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin all dreams. A list of seeds counts by its first."""
        super().reset(seed=seed[0] if isinstance(seed, list) else seed)
        self._random.manual_seed(int(self.np_random.integers(2**62)))
        self._state = self._world.begin_dreams(self.num_envs, self._random)
        self._steps[:], self._over[:] = 0, False
        return self._observed(), {}

    @torch.no_grad()
    def step(
        self, actions: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """A step in every dream.

        Raises:
            UsageError: ``reset`` was not called, or an action is outside the space.
        """
        if self._state is None:
            raise UsageError("a dream is stepped before it was reset: call reset first")
        actions = np.asarray(actions)
        if not self.action_space.contains(actions.astype(self.action_space.dtype)):
            raise UsageError(
                f"actions {actions.tolist()} are outside the space {self.action_space}"
            )
        world, over = self._world, self._over.copy()
        coded = world.coded(torch.from_numpy(actions).to(world.device))
        state, rewards, ends = world.dream(self._state, coded, self._random, self._temperature)
        fresh = world.begin_dreams(self.num_envs, self._random)
        again = torch.from_numpy(over).to(world.device)
        self._state = tuple(
            torch.where(again.view(-1, *[1] * (new.ndim - 1)), new, old)
            for new, old in zip(fresh, state, strict=True)
        )
        self._steps = np.where(over, 0, self._steps + 1)
        terminated = ends.cpu().numpy() & ~over
        truncated = (self._steps >= self._limit) & ~terminated
        self._over = terminated | truncated
        paid = np.where(over, 0.0, rewards.double().cpu().numpy())
        return self._observed(), paid, terminated, truncated, {}

    def _observed(self) -> np.ndarray:
        assert self._state is not None
        return observed(self._world, self._state, self._observe).cpu().numpy()


class DreamEnv(gym.Env[np.ndarray, Any]):
    """One dream, for libraries that take single environments.

    Args:
        world_model: As of ``Dream``.
        options: Of ``Dream``, but for ``num_envs``.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  # as gymnasium declares it

    def __init__(self, world_model: Any, **options: Any) -> None:
        self._dream = Dream(world_model, 1, **options)
        self.observation_space = self._dream.single_observation_space
        self.action_space = self._dream.single_action_space
        self.render_mode = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin the dream."""
        super().reset(seed=seed)
        observations, _ = self._dream.reset(seed=seed)
        return observations[0], {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """A step of it."""
        observations, rewards, terminated, truncated, _ = self._dream.step(np.asarray(action)[None])
        return observations[0], float(rewards[0]), bool(terminated[0]), bool(truncated[0]), {}


def checked_world(model: Any) -> WorldModel:
    """A model that can dream.

    Raises:
        UsageError: it is of another kind.
    """
    if not isinstance(model, WorldModel):
        raise UsageError(
            f"{type(model).__name__} is not a world model: name one, such as "
            "recipe:worldmodels/logs-lunarlander-model"
        )
    if not model.hparams["actions_vary"]:
        warnings.warn(
            "this world model was learnt from a log of one action only: its dreams do not know "
            "what other actions do",
            stacklevel=2,
        )
    return model


def action_space(world: WorldModel) -> gym.Space[Any]:
    """Of the world that a model is of."""
    arguments = world.hparams
    if arguments["actions"] == "discrete":
        return gym.spaces.Discrete(arguments["num_actions"])
    low, high = (np.array(arguments[name], np.float32) for name in ("action_low", "action_high"))
    return gym.spaces.Box(low, high, dtype=np.float32)


def observed(world: WorldModel, state: State, observe: str) -> Tensor:
    """What is seen of a state: float32 (N, ...)."""
    readout = world.memory.readout(state)
    if observe == "readout":
        return readout.float()
    return (readout[:, : world.memory.features] * world.std + world.mean).float()
