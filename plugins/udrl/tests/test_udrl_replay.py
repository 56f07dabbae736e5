"""The replay against Python lists, and what is drawn from it."""

from __future__ import annotations

import random

import pytest
import torch

from zoo_rl.episodes import Episodes
from zoo_udrl.replay import add_episodes, keep_best, trailing_segments, training_pairs


def numbered(returns: list[float], lengths: list[int], first: int = 0) -> Episodes:
    """Episodes whose observations say which they are, and when; paid ``return`` at the end."""
    longest = max(lengths)
    observations = torch.zeros(len(lengths), longest + 1, 2)
    rewards = torch.zeros(len(lengths), longest)
    for row, length in enumerate(lengths):
        observations[row, : length + 1, 0] = first + row
        observations[row, : length + 1, 1] = torch.arange(length + 1).float()
        rewards[row, length - 1] = returns[row]
    actions = (10 * observations[:, :-1, 0] + observations[:, :-1, 1]).long()
    return Episodes(
        observations,
        actions,
        rewards,
        torch.tensor(lengths),
        torch.ones(len(lengths), dtype=torch.bool),
    )


def names(episodes: Episodes) -> list[int]:
    return episodes.observations[:, 0, 0].int().tolist()


def test_the_best_are_kept_by_falling_return_and_of_equal_ones_the_latest() -> None:
    kept = keep_best(numbered([1, 5, 3, 5, 3], [2, 9, 2, 1, 3]), 4)
    assert kept.returns.tolist() == [5, 5, 3, 3]
    assert names(kept) == [3, 1, 4, 2]
    assert keep_best(numbered([1, 2], [7, 3]), 1).rewards.shape == (1, 3)


def test_many_additions_keep_what_a_sorted_list_keeps() -> None:
    source = random.Random(0)
    kept: Episodes | None = None
    by_hand: list[tuple[float, int]] = []
    for step in range(30):
        returns = [float(source.randint(0, 8)) for _ in range(4)]
        lengths = [source.randint(1, 9) for _ in range(4)]
        kept = add_episodes(kept, numbered(returns, lengths, first=4 * step), 10)
        by_hand += [(value, 4 * step + row) for row, value in enumerate(returns)]
        by_hand = sorted(by_hand, reverse=True)[:10]
        assert names(kept) == [name for _, name in by_hand]
        assert kept.returns.tolist() == [value for value, _ in by_hand]


def test_segments_are_even_over_episodes_and_over_their_steps() -> None:
    lengths = torch.tensor([1, 4, 10])
    episodes, steps = trailing_segments(lengths, 60_000, torch.Generator().manual_seed(0))
    counts = torch.zeros(3, 10)
    counts.index_put_((episodes, steps), torch.ones(60_000), accumulate=True)
    for episode, length in enumerate(lengths.tolist()):
        expected = 20_000 / length
        assert not counts[episode, length:].any()
        assert counts[episode, :length].sub(expected).abs().max() < 5 * expected**0.5


def test_a_pair_is_what_was_done_and_what_came_of_it() -> None:
    kept = keep_best(numbered([7, 3, 4], [4, 2, 6]), 3)
    rewards_to_go = kept.rewards_to_go()
    drawn = training_pairs(kept, rewards_to_go, 200, torch.Generator().manual_seed(1))
    lengths, returns = {0: 4, 1: 2, 2: 6}, {0: 7.0, 1: 3.0, 2: 4.0}
    seen = set()
    for observation, (desired, horizon), action in zip(*drawn, strict=True):
        episode, step = int(observation[0]), int(observation[1])
        assert horizon == lengths[episode] - step
        assert desired == returns[episode]
        assert action == 10 * episode + step
        seen.add((episode, step))
    assert len(seen) == 12


def test_commands_of_pairs_count_the_rewards_from_the_step_on() -> None:
    kept = keep_best(numbered([7.0], [3]), 1)
    kept.rewards[0] = torch.tensor([1.0, 2.0, 4.0])
    _, commands, _ = training_pairs(kept, kept.rewards_to_go(), 50, torch.Generator())
    assert {tuple(row) for row in commands.tolist()} == {(7, 3), (6, 2), (4, 1)}


@pytest.mark.parametrize("frames", [1, 3])
def test_images_are_stacked_with_those_before_and_the_first_stands_for_none(frames: int) -> None:
    vectors = numbered([1, 2], [4, 5])
    images = vectors.observations[..., 1].to(torch.uint8)[..., None, None].expand(2, 6, 2, 2)
    kept = keep_best(
        Episodes(images, vectors.actions, vectors.rewards, vectors.lengths, vectors.terminated),
        2,
    )
    observed, commands, _ = training_pairs(
        kept, kept.rewards_to_go(), 100, torch.Generator().manual_seed(0), frames
    )
    assert observed.shape == (100, frames, 2, 2)
    assert observed.dtype == torch.uint8
    for stack, (desired, horizon) in zip(observed, commands.tolist(), strict=True):
        step = (4 if desired == 1 else 5) - int(horizon)
        expected = [max(0, step - back) for back in range(frames - 1, -1, -1)]
        assert stack[:, 0, 0].tolist() == expected
