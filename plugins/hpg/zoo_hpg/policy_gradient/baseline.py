"""The baseline: a net of state, time and goal that expects the sum of rewards to come."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo_hpg.episodes import Episodes
from zoo_hpg.networks.frozen import FrozenGoalNet, full_precision
from zoo_hpg.networks.goal_net import GoalNet
from zoo_hpg.networks.state_goal_pairs import distinct_states, evaluate_pairs


def expected_returns(net: GoalNet, episodes: Episodes) -> Tensor:
    """What the net expects (N, T) from each step on, of the goals pursued; with gradient."""
    parts = net.state_part(_timed(episodes)) + net.goal_part(episodes.goals)[:, None]
    return net.joined(parts)[..., 0]


def baseline_loss(net: GoalNet, episodes: Episodes) -> Tensor:
    """Mean squared difference to the reward and the net's own value a step later."""
    expected = expected_returns(net, episodes)
    later = torch.cat([expected[:, 1:] * episodes.mask[:, 1:], expected[:, :1] * 0], 1)
    errors = (expected - episodes.rewards - later.detach()) ** 2
    return errors[episodes.mask].mean()


def expected_hindsight_returns(
    net: GoalNet, episodes: Episodes, goals: Tensor, before: Tensor, max_pairs: int
) -> Tensor:
    """What the net expects (N, T, G) of hindsight goals, without gradient.

    Args:
        net: The baseline net.
        episodes: N of them.
        goals: (G, D).
        before: Bool (N, T, G), what to compute; 0 elsewhere.
        max_pairs: As for ``evaluate_pairs``.
    """
    mask = episodes.mask
    timed, state_of = distinct_states(_timed(episodes)[mask])
    frozen = FrozenGoalNet(net)
    expected = torch.zeros(before.shape, dtype=goals.dtype, device=goals.device)
    with torch.no_grad(), full_precision(mask.device):
        states, ends = frozen.state_part(timed), frozen.goal_part(goals)
        expected[mask] = evaluate_pairs(
            frozen.outputs, states, ends, state_of, before[mask], max_pairs
        )
    return expected


def _timed(episodes: Episodes) -> Tensor:
    """Observations (N, T, ...) with the number of the step, from 1, behind."""
    count, steps = episodes.mask.shape
    seen = episodes.observations
    time = torch.arange(1, steps + 1, device=seen.device, dtype=seen.dtype)
    return torch.cat([seen, time[:, None].expand(count, steps, 1)], 2)
