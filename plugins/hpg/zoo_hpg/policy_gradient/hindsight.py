"""The goals that a batch of episodes reached, and what would have been paid for them."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo_hpg.episodes import Episodes


def active_goals(
    episodes: Episodes, per_episode: int = 0, random: torch.Generator | None = None
) -> Tensor:
    """The different goals that episodes achieved in any of their states, the first included.

    Args:
        episodes: N of them; states whose goal is not a number achieved none.
        per_episode: Goals drawn of each episode, without repetition; 0 takes all.
        random: Drawn from.

    Returns:
        Goals (G, D).
    """
    count, steps = episodes.mask.shape
    started = torch.ones_like(episodes.mask[:, :1])
    seen = torch.cat([started, episodes.mask], 1)
    seen &= episodes.achieved.isfinite().all(2)
    goals = episodes.achieved[seen]
    if not per_episode:
        every: Tensor = torch.unique(goals, dim=0)
        return every
    of = torch.arange(count, device=goals.device)[:, None].expand(count, steps + 1)[seen]
    tagged = torch.unique(torch.cat([of[:, None].to(goals.dtype), goals], 1), dim=0)
    of = tagged[:, 0].long()
    lots = torch.rand(len(of), generator=random, device=goals.device)
    order = (of + lots.double()).argsort()  # the episodes one after the other, each shuffled
    of = of[order]
    rank = torch.arange(len(of), device=of.device) - torch.searchsorted(of, of)
    drawn: Tensor = torch.unique(tagged[order[rank < per_episode], 1:], dim=0)
    return drawn


def hindsight_rewards(
    episodes: Episodes, goals: Tensor, horizon: int, tolerance: float
) -> tuple[Tensor, Tensor]:
    """What each step would have been paid if another goal had been pursued.

    Args:
        episodes: N of them, of T steps.
        goals: Hindsight goals (G, D).
        horizon: Reaching a goal by the t-th action pays ``horizon - t``, the first time.
        tolerance: A goal is reached where the achieved one is nearer than this.

    Returns:
        Rewards (N, T, G), and bool (N, T, G): the step was taken and came before the goal was
        reached, or reached it.
    """
    count, steps = episodes.mask.shape
    after = episodes.achieved[:, 1:].flatten(0, 1)
    distances = torch.cdist(after, goals, compute_mode="donot_use_mm_for_euclid_dist")
    reached = (distances < tolerance).view(count, steps, -1) & episodes.mask[..., None]
    earlier = reached.cumsum(1, dtype=torch.int32) - reached.int()
    before = (earlier == 0) & episodes.mask[..., None]
    left = horizon - torch.arange(1, steps + 1, device=goals.device, dtype=goals.dtype)
    return (reached & before) * left[:, None], before
