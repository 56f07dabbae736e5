"""Seeds that training and evaluation never share."""

from __future__ import annotations

import itertools

import pytest
import torch

from zoo_rl.seeding import RANGES, episode_seeds, generator


def test_no_two_parts_share_a_seed() -> None:
    for first, second in itertools.combinations(RANGES.values(), 2):
        assert first.stop <= second.start or second.stop <= first.start


@pytest.mark.parametrize("part", RANGES)
def test_seeds_lie_in_their_range_and_come_again(part: str) -> None:
    seeds = episode_seeds(part, 1000, 3, 4)
    assert all(seed in RANGES[part] for seed in seeds)
    assert len(set(seeds)) > 900
    assert seeds == episode_seeds(part, 1000, 3, 4)
    assert seeds != episode_seeds(part, 1000, 4, 3)
    assert seeds[:10] == episode_seeds(part, 10, 3, 4)


def test_a_generator_depends_on_every_number_and_their_order() -> None:
    def drawn(*position: int) -> list[float]:
        return torch.rand(3, generator=generator(*position)).tolist()

    assert drawn(1, 2) == drawn(1, 2)
    positions = [(1, 2), (2, 1), (1, 2, 0), (1, 3), (12,)]
    assert len({tuple(drawn(*position)) for position in positions}) == len(positions)


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(KeyError):
        episode_seeds("training", 1)
