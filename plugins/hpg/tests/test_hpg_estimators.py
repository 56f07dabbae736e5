"""The estimators against loops written from the formulas, and against exact policy gradients."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from zoo_hpg.episodes import Episodes
from zoo_hpg.policy_gradient.estimators import EPSILON, gcpg, hpg, weighted_hpg
from zoo_hpg.policy_gradient.hindsight import hindsight_rewards

N, T, G = 4, 5, 3


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Log-probabilities, the behavior's, rewards, mask and baselines, all float64."""
    torch.manual_seed(0)
    mask = torch.arange(T) < torch.tensor([[5], [3], [1], [4]])
    likely = -torch.rand(N, T, G, dtype=torch.float64) * 3
    behavior = -torch.rand(N, T, dtype=torch.float64) * 3
    rewards = torch.randint(4, (N, T, G)).double() * mask[..., None]
    baselines = torch.randn(N, T, G, dtype=torch.float64) * mask[..., None]
    return likely, behavior, rewards, mask, baselines


def slow(
    likely: Tensor, behavior: Tensor, rewards: Tensor, mask: Tensor, baselines: Tensor, norm: bool
) -> Tensor:
    """Per decision, one number after the other."""
    weights = torch.zeros(N, T, G, dtype=torch.float64)
    for i, t, g in itertools.product(range(N), range(T), range(G)):
        weights[i, t, g] = 1.0 if mask[i, t] else 0.0
        for k in range(t + 1):
            weights[i, t, g] *= math.exp(likely[i, k, g]) / math.exp(behavior[i, k])
    shares = weights / N
    if norm:
        for t, g in itertools.product(range(T), range(G)):
            total = sum(weights[j, t, g] + EPSILON for j in range(N))
            for i in range(N):
                shares[i, t, g] = (weights[i, t, g] + EPSILON) / total
    found = torch.zeros(N, T, G, dtype=torch.float64)
    for i, t, g in itertools.product(range(N), range(T), range(G)):
        for later in range(t, T):
            found[i, t, g] += shares[i, later, g] * rewards[i, later, g]
        found[i, t, g] -= shares[i, t, g] * baselines[i, t, g]
    return found


@pytest.mark.parametrize("with_baseline", [False, True])
@pytest.mark.parametrize(("estimator", "norm"), [(hpg, False), (weighted_hpg, True)])
def test_hindsight_is_what_the_loop_gives(
    batch: tuple, estimator: object, norm: bool, with_baseline: bool
) -> None:
    likely, behavior, rewards, mask, baselines = batch
    used = baselines if with_baseline else None
    expected = slow(likely, behavior, rewards, mask, baselines * with_baseline, norm)
    found = estimator(likely, behavior, rewards, mask, used)  # type: ignore[operator]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("with_baseline", [False, True])
def test_gcpg_is_what_the_loop_gives(batch: tuple, with_baseline: bool) -> None:
    _, _, rewards, mask, baselines = batch
    rewards, baselines = rewards[..., 0], baselines[..., 0] * with_baseline
    expected = torch.zeros(N, T, dtype=torch.float64)
    for i, t in itertools.product(range(N), range(T)):
        if mask[i, t]:
            expected[i, t] = (rewards[i, t:].sum() - baselines[i, t]) / N
    found = gcpg(rewards, mask, baselines if with_baseline else None)
    torch.testing.assert_close(found, expected)


def test_weights_too_small_for_a_float_are_equal(batch: tuple) -> None:
    likely, behavior, rewards, mask, _ = batch
    everyone = torch.ones_like(mask)
    found = weighted_hpg((likely - 1000).float(), behavior.float(), rewards.float(), everyone)
    expected = rewards.float().flip(1).cumsum(1).flip(1) / N
    torch.testing.assert_close(found, expected)


def test_weights_too_large_for_a_float_stay_finite(batch: tuple) -> None:
    likely, behavior, rewards, mask, baselines = (each.float() for each in batch)
    found = weighted_hpg(likely, behavior - 100, rewards, mask.bool(), baselines)
    assert found.isfinite().all()
    assert found.abs().max() > 0
    assert hpg(likely, behavior - 100, rewards * 0, mask.bool()).abs().max() == 0


# A problem small enough to go through all that can happen: two bits, three flips, four goals.

BITS, STEPS = 2, 3
GOALS = torch.cartesian_prod(*[torch.arange(2)] * BITS).double()
PLANS = torch.cartesian_prod(*[torch.arange(BITS)] * STEPS)


def scores(parameters: Tensor) -> Tensor:
    """Log-probabilities (states, goals, actions) of a table."""
    return parameters.log_softmax(2)


def everything(ends: bool) -> tuple[Episodes, Tensor, Tensor]:
    """Every episode that can happen, the goal pursued of each, and its states as numbers."""
    goals = GOALS.repeat_interleave(len(PLANS), 0)
    actions = PLANS.repeat(len(GOALS), 1)
    seen = [torch.zeros(len(goals), BITS, dtype=torch.float64)]
    for step in range(STEPS):
        flip = torch.nn.functional.one_hot(actions[:, step], BITS)
        seen.append((seen[-1] + flip) % 2)
    achieved = torch.stack(seen, 1)
    at_goal = (achieved[:, 1:] == goals[:, None]).all(2)
    running = (at_goal.cumsum(1) - at_goal.long()) == 0
    mask = running if ends else torch.ones_like(running)
    paid = at_goal & running
    left = STEPS + 1 - torch.arange(1, STEPS + 1)
    episodes = Episodes(achieved[:, :-1], achieved, goals, actions, mask * 0.0, paid * left, mask)
    numbers = (achieved[:, :-1] * torch.tensor([2.0, 1.0])).sum(2).long()
    return episodes, torch.arange(len(GOALS)).repeat_interleave(len(PLANS)), numbers


def exact_gradient(parameters: Tensor) -> Tensor:
    """Of the mean over goals of the expected return."""
    episodes, pursued, states = everything(ends=False)
    likely = scores(parameters)[states, pursued[:, None], episodes.actions].sum(1)
    value = (likely.exp() * episodes.returns).sum() / len(GOALS)
    (gradient,) = torch.autograd.grad(value, parameters)
    return gradient


def estimated_gradient(
    parameters: Tensor, estimator: object, chosen: Tensor, ends: bool = False
) -> Tensor:
    """By an estimator, from episodes (by number) that stand for as many samples."""
    episodes, pursued, states = everything(ends)
    episodes = Episodes(*(each[chosen] for each in episodes))
    pursued, states = pursued[chosen], states[chosen]
    table = scores(parameters)
    own = table[states, pursued[:, None], episodes.actions]
    if estimator is gcpg:
        value = (gcpg(episodes.rewards, episodes.mask) * own).sum()
    else:
        likely = table[states[..., None], torch.arange(len(GOALS)), episodes.actions[..., None]]
        rewards, _ = hindsight_rewards(episodes, GOALS, STEPS + 1, 0.5)
        mask = episodes.mask
        value = (estimator(likely, own.detach(), rewards, mask) * likely).sum()  # type: ignore[operator]
        value = value / len(GOALS)
    (gradient,) = torch.autograd.grad(value, parameters)
    return gradient


def expectation(parameters: Tensor, estimator: object, ends: bool = False) -> Tensor:
    """Of the estimate from one episode, over all that can happen."""
    episodes, pursued, states = everything(ends)
    table = scores(parameters).detach()
    own = table[states, pursued[:, None], episodes.actions]
    chances = (own * episodes.mask).sum(1).exp() / len(GOALS)
    # Plans that differ only after the end are one episode; each counts with its share.
    same = 2.0 ** (STEPS - episodes.mask.sum(1))
    parts = [
        estimated_gradient(parameters, estimator, torch.tensor([number]), ends) * chance
        for number, chance in enumerate(chances / same)
    ]
    return torch.stack(parts).sum(0)


@pytest.fixture
def parameters() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(2**BITS, len(GOALS), BITS, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("estimator", [gcpg, hpg])
def test_unbiased(parameters: Tensor, estimator: object) -> None:
    found = expectation(parameters, estimator)
    torch.testing.assert_close(found, exact_gradient(parameters), rtol=1e-10, atol=1e-12)


def test_gcpg_is_unbiased_where_episodes_end_at_their_goals(parameters: Tensor) -> None:
    found = expectation(parameters, gcpg, ends=True)
    torch.testing.assert_close(found, exact_gradient(parameters), rtol=1e-10, atol=1e-12)


def test_hpg_is_not_where_they_end(parameters: Tensor) -> None:
    """What lies behind the goal pursued is never seen; the docstring says so."""
    expected = exact_gradient(parameters)
    error = (expectation(parameters, hpg, ends=True) - expected).norm() / expected.norm()
    assert 0.01 < error < 1


def test_weighted_hpg_is_consistent(parameters: Tensor) -> None:
    episodes, pursued, states = everything(ends=False)
    table = scores(parameters).detach()
    chances = table[states, pursued[:, None], episodes.actions].sum(1).exp()
    expected = exact_gradient(parameters)

    def error(count: int, seed: int) -> float:
        random = torch.Generator().manual_seed(seed)
        chosen = torch.multinomial(chances, count, replacement=True, generator=random)
        found = estimated_gradient(parameters, weighted_hpg, chosen)
        return float((found - expected).norm() / expected.norm())

    few = sum(error(20, seed) for seed in range(20)) / 20
    many = sum(error(200000, seed) for seed in range(2)) / 2
    assert many < 0.02
    assert many < few / 10
