"""Controllers in the real world: what they know is kept up by the world model, and they are
measured by real episodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.plugin import UsageError
from zoo_rl.evaluation import return_metrics
from zoo_rl.rollout import rollout
from zoo_rl.seeding import episode_seeds
from zoo_worldmodels.memories.base import State
from zoo_worldmodels.reality import Reality
from zoo_worldmodels.world_model import WorldModel

Choice = Callable[[Tensor, Tensor], Tensor]
"""From a readout (N, R) and extra knowledge (N, E) to actions, int64 (N,) or float32 (N, A)."""

_AT_ONCE = 10


class RealActing:
    """A policy of ``zoo_rl.rollout``: the memory sees what really comes.

    Args:
        world: The world model.
        choose: The controller.
    """

    def __init__(self, world: WorldModel, choose: Choice) -> None:
        self._world, self._choose = world, choose
        self._advanced: dict[int, State] = {}

    @torch.no_grad()
    def __call__(
        self, observations: np.ndarray, numbers: np.ndarray, rewards: np.ndarray
    ) -> np.ndarray:
        memory = self._world.memory
        features = self._world.seen(torch.from_numpy(observations))
        known = self._advanced
        parts = [
            memory.observe(known[number], row) if number in known else memory.begin(row)
            for number, row in zip(numbers.tolist(), features.split(1), strict=True)
        ]
        state = tuple(torch.cat(part) for part in zip(*parts, strict=True))
        actions = self._choose(memory.readout(state), memory.extra(state))
        _, advanced = memory.expected(state, self._world.coded(actions))
        rows = zip(*(part.split(1) for part in advanced), strict=True)
        self._advanced = dict(zip(numbers.tolist(), rows, strict=True))
        return actions.cpu().numpy()


def real_returns(
    world: Mapping[str, Any], policy: Any, episodes: int, part: str, *position: int
) -> Tensor:
    """Returns of real episodes, float32 (N,), of seeds that no training has.

    Args:
        world: ``environment``, ``max_episode_steps`` and ``observation_shape``.
        policy: Acts; made anew for every call.
        episodes: How many.
        part: ``val`` or ``test``.
        position: Numbers that give other episodes.
    """
    envs = real_world(world, min(episodes, _AT_ONCE))
    try:
        return rollout(envs, policy, episode_seeds(part, episodes, *position)).returns
    finally:
        envs.close()


def real_world(world: Mapping[str, Any], count: int, render_mode: str | None = None) -> Reality:
    """The environments that a model is of.

    Args:
        world: As of ``real_returns``.
        count: How many.
        render_mode: As of gymnasium.

    Raises:
        UsageError: it is of logs alone.
    """
    if not world["environment"]:
        raise UsageError(
            "the world model was learnt from logs that name no environment: a controller of it is "
            "measured in dreams alone; --data.environment of the world model's data names one"
        )
    return Reality(
        world["environment"],
        count,
        max_episode_steps=world["max_episode_steps"] or None,
        screen_size=world["observation_shape"][-1],
        color=len(world["observation_shape"]) == 3 and world["observation_shape"][0] == 3,
        render_mode=render_mode,
    )


def real_metrics(returns: Tensor, prefix: str) -> dict[str, float]:
    """Mean, its 95 % interval, deviation and standard error, by the names they are logged under."""
    found = {f"{prefix}/{name}": value for name, value in return_metrics(returns).items()}
    deviation = float(returns.double().std()) if len(returns) > 1 else 0.0
    found[f"{prefix}/return/standard_error"] = deviation / len(returns) ** 0.5
    return found
