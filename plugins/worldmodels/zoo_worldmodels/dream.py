"""A learnt world as an environment of gymnasium: any library of agents trains in it.

world = zoo.load("recipe:worldmodels/logs-lunarlander-model")
envs = Dream(world, num_envs=16, temperature=1.15)
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
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
    than not, or as often as it is likely (``draw_ends``), and is cut after ``max_episode_steps``. A
    dream that is over begins anew with the next step, as gymnasium's vector environments do by
    default, or as ``autoreset_mode`` says.

    A policy makes use of the model's errors. The higher the temperature, the less of them can be
    relied on (arXiv:1803.10122, section 4.5).

    Args:
        world_model: A trained ``world-model``, as ``zoo.load`` gives it.
        num_envs: Dreams.
        temperature: From 0; of all dreams, or one for each of them.
        max_episode_steps: Where episodes are cut; None: as in the world, or 1,000 where it has no
            limit.
        observe: ``observation``: what the world would show, or the code of it where that is a
            picture; ``readout``: that, standardized, with what the memory knows.
        autoreset_mode: gymnasium's: what becomes of a dream that is over.
        draw_ends: Draw ends by their probability: what may end an episode does so in some dreams,
            where no dream would end if only the likelier counted.
        halt: End a dream that leaves what the log has seen (``support`` of the world model), as
            MOReL does (arXiv:2005.05951); ``left_log`` of the info tells which did.
        halt_reward: Of the step that leaves it; the least return of an episode of the log without.

    Raises:
        UsageError: an argument is out of its range, this is no world model, or it is to halt and
            keeps no states of its log.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  # as gymnasium declares it

    def __init__(
        self,
        world_model: Any,
        num_envs: int = 16,
        temperature: float | Sequence[float] = 1.0,
        max_episode_steps: int | None = None,
        observe: Literal["observation", "readout"] = "observation",
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        draw_ends: bool = False,
        halt: bool = False,
        halt_reward: float | None = None,
    ) -> None:
        self._world = checked_world(world_model)
        at_least("num_envs", num_envs, 1)
        self._halt_reward = self._world.halt_reward(halt, halt_reward)
        self._temperature = _temperatures(temperature, num_envs, self._world.device)
        one_of("observe", observe, ("observation", "readout"))
        if max_episode_steps is not None:
            at_least("max_episode_steps", max_episode_steps, 1)
        mode = getattr(autoreset_mode, "value", autoreset_mode)
        one_of("autoreset_mode", mode, tuple(each.value for each in AutoresetMode))
        self._mode = AutoresetMode(mode)
        self.metadata = {**self.metadata, "autoreset_mode": self._mode}
        self.num_envs, self._observe, self._draw_ends = num_envs, observe, draw_ends
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
        self,
        *,
        seed: int | Sequence[int] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin all dreams, or those of ``options["reset_mask"]``, bool (num_envs,).

        One generator draws all dreams: a list of seeds, one for each, counts as a whole.

        Raises:
            UsageError: there are not as many seeds as dreams, or the mask is of another shape.
        """
        if seed is not None or self._state is None:
            super().reset(seed=self._one_seed(seed))
            self._random.manual_seed(int(self.np_random.integers(2**62)))
        mask = (options or {}).get("reset_mask")
        if mask is None or self._state is None:
            mask = np.ones(self.num_envs, np.bool_)
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_:
            raise UsageError(f"options['reset_mask'] is not bool ({self.num_envs},): {mask!r}")
        self._begin(mask)
        return self._observed(), {}

    def _one_seed(self, seed: int | Sequence[int] | None) -> int | None:
        if seed is None or isinstance(seed, int | np.integer):
            return seed if seed is None else int(seed)
        if len(seed) != self.num_envs:
            raise UsageError(f"{len(seed)} seeds for {self.num_envs} dreams: name one for each")
        return int(np.random.SeedSequence(list(seed)).generate_state(1)[0])

    def _begin(self, which: np.ndarray) -> None:
        """Put dreams at their beginning, bool (num_envs,)."""
        fresh = self._world.begin_dreams(self.num_envs, self._random)
        if self._state is not None:
            chosen = torch.from_numpy(which).to(self._world.device)
            fresh = tuple(
                torch.where(chosen.view(-1, *[1] * (new.ndim - 1)), new, old)
                for new, old in zip(fresh, self._state, strict=True)
            )
        self._state = fresh
        self._steps = np.where(which, 0, self._steps)
        self._over = self._over & ~which

    @torch.no_grad()
    def step(
        self, actions: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """A step in every dream.

        Raises:
            UsageError: ``reset`` was not called, an action is outside the space, or a dream is
                over and none begins by itself.
        """
        over = self._over.copy()
        if self._state is None:
            raise UsageError("a dream is stepped before it was reset: call reset first")
        if self._mode is AutoresetMode.DISABLED and over.any():
            raise UsageError(f"dreams are over: reset {np.flatnonzero(over).tolist()} first")
        world, coded = self._world, self._coded(actions)
        self._state, rewards, ends = world.dream(
            self._state, coded, self._random, self._temperature, draw_ends=self._draw_ends
        )
        info: dict[str, Any] = {}
        if self._halt_reward is not None:
            rewards, ends, left = world.halted(self._state, rewards, ends, self._halt_reward)
            info = {"left_log": left.cpu().numpy() & ~over, "_left_log": ~over}
        self._steps = self._steps + 1
        if over.any():  # their step is the first of a new dream
            self._begin(over)
        terminated = ends.cpu().numpy() & ~over
        truncated = (self._steps >= self._limit) & ~terminated
        self._over = terminated | truncated
        paid = np.where(over, 0.0, rewards.double().cpu().numpy())
        info |= self._ended() if self._mode is AutoresetMode.SAME_STEP else {}
        return self._observed(), paid, terminated, truncated, info

    def _ended(self) -> dict[str, Any]:
        """Begin dreams that are over, and show what they ended with."""
        over = self._over.copy()
        if not over.any():
            return {}
        last = np.where(over[:, None], self._observed(), np.float32(0))
        self._begin(over)
        return {"final_obs": last, "_final_obs": over, "final_info": {}, "_final_info": over}

    def _coded(self, actions: Any) -> Tensor:
        """Actions as the memory reads them, (num_envs, A), if they are of the space."""
        given = np.asarray(actions)
        fits = given.dtype.kind in (
            "biu" if self._world.hparams["actions"] == "discrete" else "fiu"
        )
        cast = given.astype(self.action_space.dtype) if fits else given
        if not fits or not self.action_space.contains(cast):
            raise UsageError(f"actions {given.tolist()} are outside the space {self.action_space}")
        return self._world.coded(torch.from_numpy(cast.copy()).to(self._world.device))

    def _observed(self) -> np.ndarray:
        assert self._state is not None
        return observed(self._world, self._state, self._observe).cpu().numpy()


def _temperatures(
    given: float | Sequence[float], count: int, device: torch.device
) -> float | Tensor:
    """One for all dreams, or float32 (count,).

    Raises:
        UsageError: one is below 0 or not a number, or there are not as many as dreams.
    """
    each = np.atleast_1d(np.asarray(given, np.float64)).tolist()
    for value in each:
        at_least("temperature", value, 0)
    if np.ndim(given) == 0:
        return float(each[0])
    if len(each) != count:
        raise UsageError(f"{len(each)} temperatures for {count} dreams: name one, or one for each")
    return torch.tensor(each, dtype=torch.float32, device=device)


class DreamEnv(gym.Env[np.ndarray, Any]):
    """One dream, for libraries that take single environments.

    Args:
        world_model: As of ``Dream``.
        options: Of ``Dream``, but for ``num_envs`` and ``autoreset_mode``.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  # as gymnasium declares it

    def __init__(self, world_model: Any, **options: Any) -> None:
        self._dream = Dream(world_model, 1, autoreset_mode=AutoresetMode.DISABLED, **options)
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
        """A step of it.

        Raises:
            UsageError: it is over or was not reset, or the action is outside the space.
        """
        observations, rewards, terminated, truncated, info = self._dream.step(
            np.asarray(action)[None]
        )
        told = {"left_log": bool(info["left_log"][0])} if "left_log" in info else {}
        return observations[0], float(rewards[0]), bool(terminated[0]), bool(truncated[0]), told


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
