"""Surrogate objectives of a policy: scalars whose gradients are the estimates of the policy's.

Each is ``sum of c * log pi(action | state, goal)`` with the coefficients ``c`` of an estimator.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo_hpg.episodes import Episodes
from zoo_hpg.networks.frozen import FrozenGoalNet, full_precision
from zoo_hpg.networks.goal_net import GoalNet
from zoo_hpg.networks.state_goal_pairs import (
    distinct_states,
    evaluate_pairs,
    weighted_log_probabilities,
)
from zoo_hpg.policy_gradient import baseline as baselines
from zoo_hpg.policy_gradient import estimators
from zoo_hpg.policy_gradient.hindsight import hindsight_rewards

ESTIMATORS = {"hpg": estimators.hpg, "weighted-hpg": estimators.weighted_hpg}


def gcpg_objective(
    policy: GoalNet, episodes: Episodes, baseline: GoalNet | None, max_pairs: int
) -> Tensor:
    """Without hindsight, by ``estimators.gcpg``.

    Args:
        policy: The policy that played.
        episodes: N of them.
        baseline: Subtract what it expects.
        max_pairs: As for ``weighted_log_probabilities``.
    """
    mask, expected = episodes.mask, None
    if baseline is not None:
        with torch.no_grad():
            expected = baselines.expected_returns(baseline, episodes)
    coefficients = estimators.gcpg(episodes.rewards, mask, expected)[mask]
    states, state_of = distinct_states(episodes.observations[mask])
    own = torch.arange(len(mask), device=mask.device)[:, None].expand_as(mask)[mask]
    return weighted_log_probabilities(
        policy,
        policy.state_part(states),
        policy.goal_part(episodes.goals),
        state_of,
        episodes.actions[mask],
        (torch.arange(len(own), device=own.device), own, coefficients),
        max_pairs,
    )


def hindsight_objective(
    policy: GoalNet,
    episodes: Episodes,
    goals: Tensor,
    estimator: str,
    horizon: int,
    tolerance: float,
    baseline: GoalNet | None = None,
    max_pairs: int = 4096,
) -> Tensor:
    """With hindsight, for all goals at once.

    Args:
        policy: The policy that played.
        episodes: N of them.
        goals: Hindsight goals (G, D).
        estimator: ``hpg`` or ``weighted-hpg``.
        horizon: As for ``hindsight_rewards``.
        tolerance: As there.
        baseline: Subtract what it expects.
        max_pairs: Pairs of a state and a goal that go through a net at once.
    """
    mask, actions = episodes.mask, episodes.actions[episodes.mask]
    rewards, before = hindsight_rewards(episodes, goals, horizon, tolerance)
    needed, expected = mask[..., None].expand_as(before), None
    if baseline is not None:
        expected = baselines.expected_hindsight_returns(
            baseline, episodes, goals, before, max_pairs
        )
    else:  # weights count up to the last reward of a goal, of any episode
        rewarded = (rewards > 0).any(0)
        needed = needed & rewarded.flip(0).cummax(0).values.flip(0)
    states, state_of = distinct_states(episodes.observations[mask])
    log_probabilities = torch.zeros_like(rewards)
    frozen = FrozenGoalNet(policy)
    with torch.no_grad(), full_precision(mask.device):
        parts = frozen.state_part(states), frozen.goal_part(goals)
        log_probabilities[mask] = evaluate_pairs(
            frozen.outputs, *parts, state_of, needed[mask], max_pairs, actions
        )
    coefficients = ESTIMATORS[estimator](
        log_probabilities, episodes.log_probabilities, rewards, mask, expected
    )[mask]
    steps, of_goals = coefficients.nonzero(as_tuple=True)
    return weighted_log_probabilities(
        policy,
        policy.state_part(states),
        policy.goal_part(goals),
        state_of,
        actions,
        (steps, of_goals, coefficients[steps, of_goals]),
        max_pairs,
    )
