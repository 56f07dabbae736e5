"""Catch: a tiny environment, many episodes of which are played at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

ROWS, COLUMNS = 8, 7
ACTIONS = ["left", "stay", "right"]
OBSERVATION_SIZE = 3
STEPS = ROWS - 1
"""Steps of every episode."""


def starts(count: int, random: torch.Generator) -> Tensor:
    """First observations: the ball in the top row, ball and paddle in any column.

    Args:
        count: Number of episodes.
        random: Where the columns are drawn from.

    Returns:
        float32 (count, 3): row of the ball, column of the ball, column of the paddle.
    """
    columns = torch.randint(COLUMNS, (count, 2), generator=random)
    return torch.cat([torch.zeros(count, 1), columns.float()], 1)


def step(observations: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
    """The ball falls by a row, the paddle moves by a column at most.

    An observation is the whole state of an episode, so that the environment keeps nothing.

    Args:
        observations: (N, 3), none of them in the last row.
        actions: int64 (N,), positions in ``ACTIONS``.

    Returns:
        The next observations (N, 3), and the rewards (N,): 1 for a ball caught in the last row.
    """
    row, ball, paddle = observations.unbind(1)
    row, paddle = row + 1, (paddle + actions - 1).clamp(0, COLUMNS - 1)
    rewards = ((row == STEPS) & (ball == paddle)).float()
    return torch.stack([row, ball, paddle], 1), rewards


def play(observations: Tensor, choose: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Play episodes from their first observations to their ends.

    Args:
        observations: (N, 3), as ``starts`` gives them.
        choose: From observations (N, 3) to actions int64 (N,).

    Returns:
        Observations (N, STEPS + 1, 3), actions int64 (N, STEPS), and returns (N,).
    """
    seen, done = [observations], []
    returns = torch.zeros(len(observations), device=observations.device)
    for _ in range(STEPS):
        done.append(choose(seen[-1]))
        following, rewards = step(seen[-1], done[-1])
        seen.append(following)
        returns += rewards
    return torch.stack(seen, 1), torch.stack(done, 1), returns
