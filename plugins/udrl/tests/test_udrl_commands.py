"""Commands: their range, how they are drawn, and how they change while acting."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zoo_rl.episodes import Episodes
from zoo_udrl.commands import (
    CommandRange,
    command_range,
    evaluation_command,
    exploratory_commands,
    updated_commands,
)


def best(returns: list[float], lengths: list[int]) -> Episodes:
    """Episodes that are paid at their last steps."""
    rewards = torch.zeros(len(lengths), max(lengths))
    rewards[torch.arange(len(lengths)), torch.tensor(lengths) - 1] = torch.tensor(returns)
    return Episodes(
        torch.zeros(len(lengths), max(lengths) + 1, 1),
        torch.zeros(rewards.shape, dtype=torch.int64),
        rewards,
        torch.tensor(lengths),
        torch.ones(len(lengths), dtype=torch.bool),
    )


def test_the_range_is_that_of_the_last_few() -> None:
    found = command_range(best([9.0, 5.0, 4.0, -50.0], [3, 6, 9, 100]), last_few=3)
    returns = np.array([9.0, 5.0, 4.0])
    assert found.low == pytest.approx(returns.mean())
    assert found.high == pytest.approx(returns.mean() + returns.std())
    assert found.horizon == 6


def test_fewer_episodes_than_the_last_few_all_count() -> None:
    assert command_range(best([2.0], [4]), last_few=50) == CommandRange(2, 2, 4)


def test_exploratory_returns_are_even_over_the_range() -> None:
    drawn = exploratory_commands(CommandRange(10, 30, 7.5), 5000, torch.Generator().manual_seed(0))
    returns = drawn[:, 0]
    assert (returns >= 10).all()
    assert (returns <= 30).all()
    assert returns.mean() == pytest.approx(20, abs=0.3)
    assert returns.std() == pytest.approx(20 / 12**0.5, abs=0.2)
    assert drawn[:, 1].unique().tolist() == [7.5]


def test_evaluation_commands_the_lower_end() -> None:
    assert evaluation_command(CommandRange(10, 30, 7.5)).tolist() == [10, 7.5]


def test_a_return_of_whole_numbers_may_serve_as_horizon() -> None:
    found = CommandRange(10.7, 30, 99)
    assert evaluation_command(found, horizon_is_return=True).tolist() == [10, 10]
    drawn = exploratory_commands(found, 100, torch.Generator(), horizon_is_return=True)
    assert torch.equal(drawn[:, 0], drawn[:, 1])
    assert torch.equal(drawn, drawn.floor())
    assert evaluation_command(CommandRange(-5, 0, 9), horizon_is_return=True).tolist() == [-5, 1]


def test_after_a_step_its_reward_is_no_longer_desired() -> None:
    commands = torch.tensor([[10.0, 5.0], [3.0, 1.0], [0.0, 1.5]])
    after = updated_commands(commands, torch.tensor([2.5, -4.0, 1.0]))
    assert after.tolist() == [[7.5, 4.0], [7.0, 1.0], [-1.0, 1.0]]
    assert commands[0].tolist() == [10, 5]


def test_a_desired_return_is_cut_to_what_can_be_achieved() -> None:
    commands = torch.tensor([[310.0, 5.0], [310.0, 5.0]])
    after = updated_commands(commands, torch.tensor([-100.0, 5.0]), max_return=320)
    assert after[:, 0].tolist() == [320, 305]
