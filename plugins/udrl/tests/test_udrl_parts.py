"""No episode that an agent is chosen on is one that it trains on or is tested on."""

from __future__ import annotations

from itertools import combinations

import pytest

from zoo_rl.seeding import episode_seeds
from zoo_udrl.data import CommandedEpisodes


def seeds(loader: object) -> set[int]:
    return {int(seed) for (batch,) in loader for seed in batch}  # type: ignore[attr-defined]


@pytest.mark.parametrize("count", [5, 100])
def test_the_parts_share_no_episode(count: int) -> None:
    data = CommandedEpisodes(eval_episodes=count)
    train = {
        seed
        for iteration in range(40)
        for seed in episode_seeds("train", data.warmup_episodes, data.seed, iteration)
    }
    parts = [train, seeds(data.val_dataloader()), seeds(data.test_dataloader())]
    assert [len(part) for part in parts] == [40 * data.warmup_episodes, count, count]
    assert all(not one & other for one, other in combinations(parts, 2))


def test_all_tests_on_both() -> None:
    both = CommandedEpisodes(eval_episodes=5, split="all")
    standard = CommandedEpisodes(eval_episodes=5)
    parts = (standard.val_dataloader(), standard.test_dataloader())
    assert seeds(both.test_dataloader()) == seeds(parts[0]) | seeds(parts[1])
