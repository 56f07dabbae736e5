"""The replay: the episodes of the highest returns, and training pairs drawn from them."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo_rl.episodes import Episodes, join


def keep_best(episodes: Episodes, capacity: int) -> Episodes:
    """The episodes of the highest returns, by falling return; of equal ones the latest.

    Args:
        episodes: In the order in which they were played.
        capacity: How many are kept.
    """
    latest_first = torch.arange(len(episodes) - 1, -1, -1)
    order = episodes.returns[latest_first].argsort(descending=True, stable=True)
    return episodes[latest_first[order[:capacity]]]


def add_episodes(best: Episodes | None, new: Episodes, capacity: int) -> Episodes:
    """The best of those kept and new ones.

    Args:
        best: As ``keep_best`` gave them; None at the beginning.
        new: Just played.
        capacity: How many are kept.
    """
    if best is None:
        return keep_best(new, capacity)
    oldest_first = best[torch.arange(len(best) - 1, -1, -1)]  # among equal returns
    return keep_best(join([oldest_first, new]), capacity)


def trailing_segments(
    lengths: Tensor, count: int, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Segments that begin at any step and last to the episode's end.

    An episode is drawn evenly, then its step; both with replacement.

    Args:
        lengths: int64 (N,), steps of each episode.
        count: Number of segments.
        random: Where they are drawn from.

    Returns:
        Episodes and steps, int64 (count,) each.
    """
    episodes = torch.randint(len(lengths), (count,), generator=random)
    drawn = torch.rand(count, generator=random, dtype=torch.float64)
    return episodes, (drawn * lengths[episodes]).long()


def training_pairs(
    best: Episodes,
    rewards_to_go: Tensor,
    count: int,
    random: torch.Generator,
    frames: int = 1,
) -> tuple[Tensor, Tensor, Tensor]:
    """What was done, and what came of it: inputs and targets of the behavior function.

    Args:
        best: The replay.
        rewards_to_go: Of these episodes, float32 (N, T).
        count: Number of pairs.
        random: Where they are drawn from.
        frames: How many images make an observation, where they are images; the first of an
            episode stands for those before it.

    Returns:
        Observations (count, ...), with an axis of frames in front for images; commands float32
        (count, 2): the rewards from the step on, and the steps left; actions (count, ...).
    """
    episodes, steps = trailing_segments(best.lengths, count, random)
    horizons = (best.lengths[episodes] - steps).float()
    commands = torch.stack([rewards_to_go[episodes, steps], horizons], dim=1)
    if best.observations.ndim == 4:  # images
        back = torch.arange(frames - 1, -1, -1)
        shown = (steps[:, None] - back).clamp(min=0)
        observations = best.observations[episodes[:, None], shown]
    else:
        observations = best.observations[episodes, steps]
    return observations, commands, best.actions[episodes, steps]
