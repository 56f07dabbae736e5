"""What an environment offers to an evolution."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from zoo_evolution.policies.base import Policy


@dataclass(frozen=True)
class Outcome:
    """What a population's evaluation gave.

    Attributes:
        fitness: Of each individual, higher is better, float64 (P,).
        steps: Steps that each played, int64 (P,).
        solver: The first individual that solves the task, or None.
        counted: Evaluations up to and with the solver, where its rank in the generation counts;
            else all of them.
    """

    fitness: Tensor
    steps: Tensor
    solver: int | None
    counted: int


class Task(ABC):
    """An environment that plays a whole population of controllers at once.

    It is rebuilt from its ``description``: the name and the constructor's arguments.
    """

    observation_size: int
    """Numbers in an observation."""
    action_size: int
    """Numbers in an action."""
    film_fps: ClassVar[float] = 10.0
    """Frames a second of its films."""

    @abstractmethod
    def evaluate(self, policy: Policy, weights: Tensor, seed: Sequence[int]) -> Outcome:
        """The fitness of controllers.

        Args:
            policy: The net of all of them.
            weights: Of each (P, size).
            seed: Non-negative integers that all of them share; others in another generation.
        """

    @abstractmethod
    def test(self, policy: Policy, weights: Tensor, seed: int) -> dict[str, float]:
        """Figures of one controller (size,), with ``steps`` and ``fitness``; they are not counted
        as evaluations."""

    @abstractmethod
    def play(
        self, policy: Policy, weights: Tensor, seed: int, film: bool
    ) -> tuple[dict[str, Any], list[np.ndarray]]:
        """Play one controller (size,): figures of the episode, and frames uint8 (H, W, 3) if a
        film is asked for."""

    def describe(self) -> list[str]:
        """Short phrases of what it is, for the line at the start of a training."""
        return []


def first_solver(fitness: Tensor, threshold: float | None) -> int | None:
    """The first individual whose fitness reaches the threshold."""
    if threshold is None:
        return None
    found = torch.nonzero(fitness >= threshold)
    return int(found[0]) if len(found) else None
