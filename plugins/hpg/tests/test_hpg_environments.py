"""The environments, how they are played, and what the best policy gets in them."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from zoo.plugin import UsageError
from zoo_hpg.data.datasets import BitFlippingEpisodes
from zoo_hpg.environments import make_environment
from zoo_hpg.environments.bit_flipping import BitFlipping
from zoo_hpg.environments.optimal_return import optimal_return
from zoo_hpg.environments.rooms import EmptyRoom, FourRooms
from zoo_hpg.episodes import rollout

RANDOM = torch.Generator()


@pytest.fixture(autouse=True)
def _seeded() -> None:
    RANDOM.manual_seed(0)


def acting(actions: list[int]):  # type: ignore[no-untyped-def]
    """Plays these actions in every episode."""
    left = iter(actions)

    def begin(goals: Tensor):  # type: ignore[no-untyped-def]
        def choose(observations: Tensor) -> tuple[Tensor, Tensor]:
            chosen = torch.full((len(observations),), next(left))
            return chosen, torch.zeros(len(observations))

        return choose

    return begin


def test_bits_are_flipped_and_the_remaining_steps_paid() -> None:
    goals = torch.tensor([[1.0, 0, 1], [0, 0, 0], [0, 1, 0]])
    episodes = rollout(BitFlipping(3), acting([0, 2, 2]), 3, RANDOM, goals)
    assert episodes.achieved[0].tolist() == [[0, 0, 0], [1, 0, 0], [1, 0, 1], [1, 0, 0]]
    # The first reaches its goal by the second of three actions, horizon 4; the others never.
    assert episodes.rewards.tolist() == [[0, 2, 0], [0, 0, 0], [0, 0, 0]]
    assert episodes.mask.sum(1).tolist() == [2, 3, 3]
    assert episodes.returns.tolist() == [2, 0, 0]


def test_the_start_is_no_arrival_but_a_return_to_it_is() -> None:
    episodes = rollout(BitFlipping(2), acting([1, 1]), 1, RANDOM, torch.zeros(1, 2))
    assert episodes.rewards.tolist() == [[0, 1]]


def test_playing_stops_when_all_have_arrived() -> None:
    goals = torch.tensor([[1.0] + [0] * 7] * 4)
    episodes = rollout(BitFlipping(8), acting([0]), 4, RANDOM, goals)
    assert episodes.actions.shape == (4, 1)
    assert episodes.returns.tolist() == [8.0] * 4


def test_moves_and_walls() -> None:
    room = EmptyRoom()
    goals = torch.tensor([[0.0, 2]])
    episodes = rollout(room, acting([0, 2, 3, 1, 0, 3]), 1, RANDOM, goals)
    path = [(0, 0), (0, 0), (0, 0), (0, 1), (1, 1), (0, 1), (0, 2)]
    assert episodes.achieved[0].tolist() == [list(cell) for cell in path]
    assert episodes.returns.item() == 32 - 6


def test_four_rooms_are_joined_by_four_doors() -> None:
    rooms = FourRooms()
    assert int(rooms.free.sum()) == 104
    reached = {0}
    while True:
        more = {int(cell) for place in reached for cell in rooms.transitions[place]} | reached
        if more == reached:
            break
        reached = more
    assert len(reached) == 104
    rooms.free[2, 5] = rooms.free[6, 8] = False  # both doors of the room on the top right
    assert len(rooms.goals) == 100


def test_a_fifth_of_the_moves_slips() -> None:
    rooms = FourRooms()
    before, _, _ = rooms.reset(20000, RANDOM)
    after, _, _ = rooms.step(torch.full((20000,), 1), RANDOM)
    corner = (before == 0).all(1)
    moved = (after[corner] == torch.tensor([1, 0])).all(1)
    assert moved.float().mean() == pytest.approx(0.8 + 0.2 / 4, abs=0.02)


@pytest.mark.parametrize("name", ["bit-flipping", "empty-room", "four-rooms"])
def test_one_seed_gives_the_same_episodes_again(name: str) -> None:
    def evenly(goals: Tensor):  # type: ignore[no-untyped-def]
        def choose(observations: Tensor) -> tuple[Tensor, Tensor]:
            count = len(observations)
            return torch.randint(2, (count,), generator=RANDOM), torch.zeros(count)

        return choose

    def once(seed: int) -> list[Tensor]:
        RANDOM.manual_seed(seed)
        return list(rollout(make_environment({"name": name}), evenly, 1000, RANDOM))

    first, again, other = once(3), once(3), once(4)
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first[2], other[2])


@pytest.mark.parametrize(
    ("description", "best"),
    [
        ({"name": "bit-flipping", "bits": 8}, 4.992),
        ({"name": "bit-flipping", "bits": 16}, 9.000),
        ({"name": "empty-room"}, 21.92),
        ({"name": "four-rooms"}, 18.84),
    ],
)
def test_the_best_possible_return(description: dict, best: float) -> None:
    found = optimal_return(make_environment(description))
    assert found == pytest.approx(best, abs=0.005)


def test_the_best_possible_return_of_few_bits_by_trying_everything() -> None:
    for bits in (1, 2, 3):
        environment = BitFlipping(bits)
        plans = list(itertools.product(range(bits), repeat=bits))
        total = 0.0
        for goal in itertools.product((0.0, 1.0), repeat=bits):
            goals = torch.tensor([goal])
            total += max(
                float(rollout(environment, acting(list(plan)), 1, RANDOM, goals).returns)
                for plan in plans
            )
        assert optimal_return(environment) == pytest.approx(total / 2**bits)


def test_the_best_possible_return_of_a_room_is_that_of_the_shortest_ways() -> None:
    ways = [row + column for row in range(11) for column in range(11) if row + column]
    best = sum(32 - way for way in ways) / len(ways)
    assert optimal_return(EmptyRoom()) == pytest.approx(best)


def test_goals_outside_are_refused() -> None:
    rooms = FourRooms()
    assert rooms.read_goal([3, 7]).tolist() == [3, 7]
    for numbers, message in {
        (3.0,): "it takes a row and a column, such as 3,7",
        (3.0, 11.0): "lies outside the room: rows go from 0 to 10",
        (-1.0, 2.0): "lies outside the room",
        (2.5, 2.0): "lies outside the room",
        (0.0, 5.0): "is a wall",
    }.items():
        with pytest.raises(UsageError, match=message):
            rooms.read_goal(list(numbers))
    bits = BitFlipping(3)
    assert bits.read_goal([1, 0, 1]).tolist() == [1, 0, 1]
    with pytest.raises(UsageError, match="it takes 3 bits, such as 1,0,1"):
        bits.read_goal([1, 0])
    with pytest.raises(UsageError, match="of zeros and ones"):
        bits.read_goal([1, 0, 2])


def test_unknown_environments_and_arguments_are_refused() -> None:
    with pytest.raises(UsageError, match="with goals: bit-flipping, empty-room"):
        make_environment({"name": "chess"})
    with pytest.raises(UsageError, match="does not take"):
        make_environment({"name": "empty-room", "bits": 3})
    with pytest.raises(UsageError, match="bits has to be 1 or more, not 0"):
        make_environment({"name": "bit-flipping", "bits": 0})


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(UsageError, match="seed has to be 0 or more, not -1"):
        BitFlippingEpisodes(seed=-1)
