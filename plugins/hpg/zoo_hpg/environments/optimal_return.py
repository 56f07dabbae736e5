"""The mean return of the best policy, by dynamic programming."""

from __future__ import annotations

from math import comb
from typing import Any

import torch

from zoo_hpg.environments.bit_flipping import BitFlipping
from zoo_hpg.environments.rooms import Rooms


def optimal_return(environment: Any) -> float | None:
    """The mean over starts and goals; None where the environment is too large to enumerate.

    Args:
        environment: Any of ``zoo_hpg.environments``.
    """
    if isinstance(environment, BitFlipping):
        return _bit_flipping(environment)
    if isinstance(environment, Rooms):
        return _rooms(environment)
    return None


def _bit_flipping(environment: BitFlipping) -> float:
    """Over the number of wrong bits, as all states with as many are alike."""
    bits = environment.bits
    values = [0.0] * (bits + 1)
    for left in range(1, environment.horizon):  # what reaching the goal by the next action pays
        reached = [float(left) if wrong == 0 else values[wrong] for wrong in range(bits + 1)]
        values = [
            max(reached[wrong - 1] if wrong else 0.0, reached[wrong + 1] if wrong < bits else 0.0)
            for wrong in range(bits + 1)
        ]
    total = sum(comb(bits, wrong) * value for wrong, value in enumerate(values))
    return total / float(2**bits)


def _rooms(environment: Rooms) -> float:
    """Over all cells and goals at once."""
    cells, actions = environment.transitions.shape
    moves = torch.nn.functional.one_hot(environment.transitions, cells).double()
    slip = environment.slip
    chances = (1 - slip) * moves + slip * moves.mean(1, keepdim=True)
    values = torch.zeros(cells, cells, dtype=torch.float64)  # of cell and goal
    at_goal = torch.eye(cells, dtype=torch.bool)
    for left in range(1, environment.horizon):
        reached = values.masked_fill(at_goal, float(left))
        values = (chances.flatten(0, 1) @ reached).view(cells, actions, cells).amax(1)
    return float(values[environment.starts][:, environment.goals].mean())
