"""What a policy climbs: scalars whose gradients are the estimators'."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo_hpg import baselines, estimators, pairs
from zoo_hpg.episodes import Episodes
from zoo_hpg.hindsight import hindsight_rewards
from zoo_hpg.inference import Inference, exactly
from zoo_hpg.networks import GoalNet

ESTIMATORS = {"hpg": estimators.hpg, "weighted-hpg": estimators.weighted_hpg}


def own_gain(
    policy: GoalNet, episodes: Episodes, baseline: GoalNet | None, max_pairs: int
) -> Tensor:
    """Without hindsight, by ``estimators.gcpg``.

    Args:
        policy: The policy that played.
        episodes: N of them.
        baseline: Subtract what it expects.
        max_pairs: As for ``pairs.surrogate``.
    """
    mask, expected = episodes.mask, None
    if baseline is not None:
        with torch.no_grad():
            expected = baselines.expected_returns(baseline, episodes)
    found = estimators.gcpg(episodes.rewards, mask, expected)[mask]
    states, state_of = pairs.distinct(episodes.observations[mask])
    own = torch.arange(len(mask), device=mask.device)[:, None].expand_as(mask)[mask]
    return pairs.surrogate(
        policy,
        policy.state_part(states),
        policy.goal_part(episodes.goals),
        state_of,
        episodes.actions[mask],
        (torch.arange(len(own), device=own.device), own, found),
        max_pairs,
    )


def hindsight_gain(
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
        expected = baselines.hindsight_returns(baseline, episodes, goals, before, max_pairs)
    else:  # weights count up to the last reward of a goal, of any episode
        rewarded = (rewards > 0).any(0)
        needed = needed & rewarded.flip(0).cummax(0).values.flip(0)
    states, state_of = pairs.distinct(episodes.observations[mask])
    likely = torch.zeros_like(rewards)
    now = Inference(policy)
    with torch.no_grad(), exactly(mask.device):
        parts = now.state_part(states), now.goal_part(goals)
        likely[mask] = pairs.evaluate(
            now.outputs, *parts, state_of, needed[mask], max_pairs, actions
        )
    estimate = ESTIMATORS[estimator]
    found = estimate(likely, episodes.log_probabilities, rewards, mask, expected)[mask]
    steps, of_goals = found.nonzero(as_tuple=True)
    return pairs.surrogate(
        policy,
        policy.state_part(states),
        policy.goal_part(goals),
        state_of,
        actions,
        (steps, of_goals, found[steps, of_goals]),
        max_pairs,
    )
