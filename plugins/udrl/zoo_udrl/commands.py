"""Commands: the desired return d_r and the desired horizon d_h.

Srivastava, Shyam, Mutz, Jaśkowski, Schmidhuber: Training Agents using Upside-Down Reinforcement
Learning, arXiv:1912.02877v1, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo_rl.episodes import Episodes


@dataclass(frozen=True)
class CommandRange:
    """What exploratory commands are drawn from.

    Attributes:
        low: Lower end of the desired return: the mean return of the best episodes.
        high: Upper end: one population standard deviation above.
        horizon: The desired horizon, steps: the mean length of the best episodes.
    """

    low: float
    high: float
    horizon: float


def command_range(best: Episodes, last_few: int) -> CommandRange:
    """The range that the best episodes give.

    Args:
        best: Episodes by falling return.
        last_few: How many of the first count.
    """
    returns = best.returns[:last_few].double()
    low, spread = float(returns.mean()), float(returns.std(correction=0))
    return CommandRange(low, low + spread, float(best.lengths[:last_few].double().mean()))


def exploratory_commands(
    commands: CommandRange, count: int, random: torch.Generator, horizon_is_return: bool = False
) -> Tensor:
    """Commands to explore with: returns drawn evenly from the range, all with its horizon.

    Args:
        commands: The range.
        count: Number of commands.
        random: Where the returns are drawn from.
        horizon_is_return: Desired returns are rounded down to integers and serve as horizons too,
            for environments that pay 1 a step (TakeCover in the paper).

    Returns:
        float32 (count, 2): desired return and horizon.
    """
    drawn = torch.rand(count, generator=random, dtype=torch.float64)
    returns = commands.low + (commands.high - commands.low) * drawn
    return _commands(returns, commands.horizon, horizon_is_return)


def evaluation_command(commands: CommandRange, horizon_is_return: bool = False) -> Tensor:
    """The command to evaluate with: the lower end of the range, with its horizon.

    Returns:
        float32 (2,): desired return and horizon.
    """
    low = torch.tensor([commands.low], dtype=torch.float64)
    return _commands(low, commands.horizon, horizon_is_return)[0]


def _commands(returns: Tensor, horizon: float, horizon_is_return: bool) -> Tensor:
    if horizon_is_return:
        returns = returns.floor()
        return torch.stack([returns, returns.clamp(min=1)], dim=1).float()
    horizons = torch.full_like(returns, max(horizon, 1.0))
    return torch.stack([returns, horizons], dim=1).float()


def updated_commands(commands: Tensor, rewards: Tensor, max_return: float | None = None) -> Tensor:
    """Commands after a step: what came is no longer desired, and there is a step less for it.

    Args:
        commands: float32 (N, 2): desired returns and horizons.
        rewards: (N,), of the step.
        max_return: The highest return that can be achieved, which a desired return is cut to;
            None for no limit.

    Returns:
        float32 (N, 2): d_r - r, at most ``max_return``; d_h - 1, at least 1.
    """
    returns = commands[:, 0] - rewards
    if max_return is not None:
        returns = returns.clamp(max=max_return)
    return torch.stack([returns, (commands[:, 1] - 1).clamp(min=1)], dim=1)
