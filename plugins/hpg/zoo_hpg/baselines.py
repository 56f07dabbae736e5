"""The baseline: a net of state, time and goal that expects the sum of rewards to come."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo_hpg import pairs
from zoo_hpg.episodes import Episodes
from zoo_hpg.inference import Inference, exactly
from zoo_hpg.networks import GoalNet


def expected_returns(net: GoalNet, episodes: Episodes) -> Tensor:
    """What the net expects (N, T) from each step on, of the goals pursued; with gradient."""
    parts = net.state_part(_timed(episodes)) + net.goal_part(episodes.goals)[:, None]
    return net.joined(parts)[..., 0]


def baseline_error(net: GoalNet, episodes: Episodes) -> Tensor:
    """Mean squared difference to the reward and the net's own value a step later."""
    expected = expected_returns(net, episodes)
    later = torch.cat([expected[:, 1:] * episodes.mask[:, 1:], expected[:, :1] * 0], 1)
    errors = (expected - episodes.rewards - later.detach()) ** 2
    return errors[episodes.mask].mean()


def hindsight_returns(
    net: GoalNet, episodes: Episodes, goals: Tensor, before: Tensor, max_pairs: int
) -> Tensor:
    """What the net expects (N, T, G) of hindsight goals, without gradient.

    Args:
        net: The baseline net.
        episodes: N of them.
        goals: (G, D).
        before: Bool (N, T, G), what to compute; 0 elsewhere.
        max_pairs: As for ``pairs.evaluate``.
    """
    mask = episodes.mask
    timed, state_of = pairs.distinct(_timed(episodes)[mask])
    now = Inference(net)
    expected = torch.zeros(before.shape, dtype=goals.dtype, device=goals.device)
    with torch.no_grad(), exactly(mask.device):
        states, ends = now.state_part(timed), now.goal_part(goals)
        expected[mask] = pairs.evaluate(
            now.outputs, states, ends, state_of, before[mask], max_pairs
        )
    return expected


def _timed(episodes: Episodes) -> Tensor:
    """Observations (N, T, ...) with the number of the step, from 1, behind."""
    count, steps = episodes.mask.shape
    seen = episodes.observations
    time = torch.arange(1, steps + 1, device=seen.device, dtype=seen.dtype)
    return torch.cat([seen, time[:, None].expand(count, steps, 1)], 2)
