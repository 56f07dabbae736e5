"""What all environments have in common, and how they are found by name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from zoo.plugin import UsageError

ENVIRONMENTS = {
    "bit-flipping": "zoo_hpg.environments.bit_flipping:BitFlipping",
    "empty-room": "zoo_hpg.environments.rooms:EmptyRoom",
    "four-rooms": "zoo_hpg.environments.rooms:FourRooms",
    "ms-pacman": "zoo_hpg.environments.ms_pacman:MsPacman",
    "fetch-push": "zoo_hpg.environments.fetch_push:FetchPush",
}


class Environment(Protocol):
    """Many episodes side by side, each with a goal of its own.

    Attributes:
        horizon: T; an episode has at most T - 1 actions, and reaching the goal by the t-th pays
            T - t.
        observation_shape: Of one observation.
        goal_size: D, numbers in a goal.
        action_names: The actions, in order.
        tolerance: A goal is reached where the achieved one is nearer than this.
    """

    horizon: int
    observation_shape: tuple[int, ...]
    goal_size: int
    action_names: list[str]
    tolerance: float

    def reset(
        self, episodes: int, random: torch.Generator, goals: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Begin episodes.

        Args:
            episodes: How many, N.
            random: Drawn from; its device is where the episodes live.
            goals: Goals (N, D) instead of drawn ones.

        Returns:
            Observations (N, ...), achieved goals (N, D) and goals (N, D).
        """
        ...

    def step(self, actions: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Do one action in every episode; those that ended continue and are ignored.

        Args:
            actions: int64 (N,).
            random: The environment's own chance is drawn from it.

        Returns:
            Observations (N, ...), achieved goals (N, D), and bool (N,): the episode failed.
        """
        ...

    def read_goal(self, numbers: list[float]) -> Tensor:
        """A goal (D,) from a user's numbers.

        Raises:
            UsageError: they are not a goal of this environment.
        """
        ...


def make_environment(description: Mapping[str, Any]) -> Any:
    """The environment of a description, as the facts of a dataset hold it.

    Args:
        description: ``name``, and the environment's arguments.

    Raises:
        UsageError: there is no environment of that name, it has no such argument, or a package
            that it needs is not installed.
    """
    arguments = {key: value for key, value in description.items() if key != "name"}
    name = description.get("name")
    if name not in ENVIRONMENTS:
        known = ", ".join(ENVIRONMENTS)
        raise UsageError(
            f"environment {dict(description)!r} is not one of those with goals: {known}, each as "
            "{name: ..., argument: value}"
        )
    module, _, cls = ENVIRONMENTS[name].partition(":")
    try:
        return getattr(importlib.import_module(module), cls)(**arguments)
    except TypeError as error:
        raise UsageError(f"environment {name!r} does not take {arguments!r}: {error}") from error


def require_numbers(numbers: list[float], count: int, what: str) -> None:
    """Refuse a goal of another size.

    Raises:
        UsageError: there are more or fewer numbers than ``count``.
    """
    if len(numbers) != count:
        given = f"{len(numbers)} number" + "s" * (len(numbers) != 1)
        raise UsageError(f"the goal is of {given}; {what}")
