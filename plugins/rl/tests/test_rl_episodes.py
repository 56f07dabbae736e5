"""Episodes as padded tensors."""

from __future__ import annotations

import torch

from zoo_rl.episodes import Episodes, join


def episodes(*lengths: int) -> Episodes:
    """Of these lengths, with the rewards 1, 2, 3, ..."""
    longest = max(lengths)
    steps = torch.arange(1, longest + 1).float()
    rewards = torch.stack([torch.where(steps <= n, steps, 0) for n in lengths])
    return Episodes(
        torch.rand(len(lengths), longest + 1, 2, generator=torch.Generator().manual_seed(longest)),
        rewards.long(),
        rewards,
        torch.tensor(lengths),
        torch.ones(len(lengths), dtype=torch.bool),
    )


def test_returns_and_rewards_to_go_are_sums_over_the_episode() -> None:
    found = episodes(3, 1)
    assert found.returns.tolist() == [6, 1]
    assert found.rewards_to_go().tolist() == [[6, 5, 3], [1, 0, 0]]
    assert (len(found), found.steps) == (2, 4)


def test_a_selection_is_padded_no_further_than_it_needs() -> None:
    found = episodes(3, 1, 2)
    some = found[[1, 2]]
    assert some.lengths.tolist() == [1, 2]
    assert some.rewards.tolist() == [[1, 0], [1, 2]]
    assert torch.equal(some.observations, found.observations[1:, :3])
    assert found[torch.tensor([2, 0])].lengths.tolist() == [2, 3]
    assert found[:1].actions.shape == (1, 3)


def test_joined_episodes_are_those_of_the_parts() -> None:
    first, second = episodes(2, 1), episodes(4)
    both = join([first, second])
    assert both.lengths.tolist() == [2, 1, 4]
    assert both.rewards.tolist() == [[1, 2, 0, 0], [1, 0, 0, 0], [1, 2, 3, 4]]
    assert torch.equal(both.observations[:2, :3], first.observations)
    assert not both.observations[:2, 3:].any()


def test_the_state_makes_the_same_episodes_again() -> None:
    found = episodes(3, 1)
    again = Episodes.of_state(found.state())
    assert all(torch.equal(value, again.state()[name]) for name, value in found.state().items())
