"""Batches of states and goals, against the net called on every pair."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from zoo_hpg.networks.frozen import FrozenGoalNet
from zoo_hpg.networks.goal_net import GoalNet, log_probabilities
from zoo_hpg.networks.state_goal_pairs import (
    distinct_states,
    evaluate_pairs,
    weighted_log_probabilities,
)

STEPS, GOALS, ACTIONS = 50, 7, 4


@pytest.fixture
def net() -> GoalNet:
    torch.manual_seed(0)
    return GoalNet((3,), 2, ACTIONS, [16, 8], None).double()


@pytest.fixture
def problem(net: GoalNet) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """States, some of them the same, actions, goals, and log-probabilities of all pairs."""
    states = torch.randint(3, (STEPS, 3)).double()
    actions = torch.randint(ACTIONS, (STEPS,))
    goals = torch.randn(GOALS, 2, dtype=torch.float64)
    direct = net(states.repeat_interleave(GOALS, 0), goals.repeat(STEPS, 1)).log_softmax(1)
    chosen = direct.gather(1, actions.repeat_interleave(GOALS)[:, None]).view(STEPS, GOALS)
    return states, actions, goals, chosen


@pytest.mark.parametrize("max_pairs", [1, 3, 40, 10000])
@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
def test_log_probabilities(net: GoalNet, problem: tuple, max_pairs: int, share: float) -> None:
    states, actions, goals, direct = problem
    unique, state_of = distinct_states(states)
    assert len(unique) < STEPS
    needed = torch.rand(STEPS, GOALS) < share
    policy = FrozenGoalNet(net)
    found = evaluate_pairs(
        policy.outputs, policy.state_part(unique), policy.goal_part(goals), state_of, needed,
        max_pairs, actions,
    )  # fmt: skip
    torch.testing.assert_close(found, direct.detach() * needed, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("max_pairs", [1, 3, 40, 10000])
@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
def test_the_surrogate_and_its_gradient(
    net: GoalNet, problem: tuple, max_pairs: int, share: float
) -> None:
    states, actions, goals, direct = problem
    values = torch.randn(STEPS, GOALS).double() * (torch.rand(STEPS, GOALS) < share)
    expected = (values * direct).sum()
    parameters = list(net.parameters())
    gradients = torch.autograd.grad(expected, parameters)
    unique, state_of = distinct_states(states)
    steps, of_goals = values.nonzero(as_tuple=True)
    found = weighted_log_probabilities(
        net, net.state_part(unique), net.goal_part(goals), state_of, actions,
        (steps, of_goals, values[steps, of_goals]), max_pairs,
    )  # fmt: skip
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    for one, other in zip(torch.autograd.grad(found, parameters), gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_no_more_pairs_at_once_than_allowed(net: GoalNet, problem: tuple) -> None:
    states, actions, goals, _ = problem
    unique, state_of = distinct_states(states)
    rows: list[int] = []
    net.head.register_forward_hook(lambda module, inputs, output: rows.append(len(output)))
    states, ends = net.state_part(unique), net.goal_part(goals)
    everything = torch.ones(STEPS, GOALS, dtype=torch.bool)
    evaluate_pairs(net.joined, states, ends, state_of, everything, 20, actions)
    assert max(rows) <= 20
    assert sum(rows) == len(unique) * GOALS
    rows.clear()
    steps, of_goals = everything.nonzero(as_tuple=True)
    coefficients = steps, of_goals, torch.ones(len(steps), dtype=torch.float64)
    weighted_log_probabilities(net, states, ends, state_of, actions, coefficients, 20).backward()
    assert max(rows) <= 20
    assert sum(rows) == len(unique) * GOALS


def test_images_are_not_compared() -> None:
    same = torch.zeros(5, 4, 4, 1)
    states, state_of = distinct_states(same)
    assert len(states) == 5
    assert state_of.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("rows", [1, 63, 64, 600])
@pytest.mark.parametrize("hidden", [[32], [32, 16, 8]])
def test_inference_is_the_net(rows: int, hidden: list[int]) -> None:
    torch.manual_seed(0)
    net = GoalNet((5,), 3, 4, hidden, None)
    observations, goals = torch.randn(rows, 5) * 3, torch.randn(rows, 3)
    policy = FrozenGoalNet(net)
    with torch.no_grad():
        found = policy.outputs(policy.state_part(observations) + policy.goal_part(goals))
        torch.testing.assert_close(found, net(observations, goals), rtol=1e-5, atol=2e-6)
        net.head.weight.zero_()
        again = policy.outputs(policy.state_part(observations) + policy.goal_part(goals))
    assert torch.equal(found, again)


def test_state_and_goal_are_one_layer() -> None:
    torch.manual_seed(0)
    net = GoalNet((5,), 3, 4, [8, 6], 0.01)
    observations, goals = torch.randn(9, 5), torch.randn(9, 3)
    first = torch.nn.Linear(8, 8)
    with torch.no_grad():
        first.weight.copy_(torch.cat([net.from_state.weight, net.from_goal.weight], 1))
        first.bias.copy_(net.from_state.bias)
    second = net.layers[1]
    plain = torch.nn.Sequential(first, torch.nn.Tanh(), second, torch.nn.Tanh(), net.head)
    expected = plain(torch.cat([observations, goals], 1))
    torch.testing.assert_close(net(observations, goals), expected)
    assert first.weight.abs().max() <= 0.02
    assert 0.004 < first.weight.std() < 0.012


def test_images() -> None:
    torch.manual_seed(0)
    net = GoalNet((168, 156, 4), 2, 4, [32, 16], None)
    assert net.from_state.in_features == 3136
    images = torch.randint(256, (2, 168, 156, 4), dtype=torch.uint8)
    assert net(images, torch.zeros(2, 2)).shape == (2, 4)
    bound = (6 / (3136 + 2 + 32)) ** 0.5
    assert 0.9 * bound < net.from_goal.weight.abs().max() <= bound


def test_probabilities_have_a_lower_bound() -> None:
    scores = torch.tensor([[0.0, -40.0, -5.0]], requires_grad=True)
    logs = log_probabilities(scores)
    expected = torch.log(torch.softmax(scores.detach().double(), 1) + 1e-12)
    torch.testing.assert_close(logs.double(), expected, rtol=1e-6, atol=1e-6)
    (gradient,) = torch.autograd.grad(logs[0, 1], scores)  # nothing pushes it further away
    assert gradient.abs().max() < 1e-4
