"""Estimators of the policy gradient of a goal-conditional policy.

Rauber, Ummadisingu, Mutz, Schmidhuber: Hindsight Policy Gradients, ICLR 2019. Each function gives
coefficients ``c``, and the estimate is the sum of ``c * grad log pi(action | state, goal)`` over
all its axes. Coefficients carry no gradient. N is the number of episodes, T that of steps, G that
of hindsight goals; an episode that ended earlier is padded and masked. The goals' distribution is
uniform and left out, as a constant factor.

An episode that ends at its own goal says nothing of what would have come after it, so that the
hindsight estimators are unbiased where episodes go on, and approximate where they end there.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

EPSILON = 1e-12
"""Added to the weights before they are normalized, as the authors' code does: without any episode
that the policy would repeat for a goal, the weights are equal."""


def gcpg(rewards: Tensor, mask: Tensor, baselines: Tensor | None = None) -> Tensor:
    """Goal-conditional policy gradient: what comes after a step, for the episode's own goal.

    Args:
        rewards: Rewards (N, T) that follow each step's action.
        mask: Bool (N, T), True for steps that were taken.
        baselines: Expected sums of rewards (N, T), of step and goal; 0 without.

    Returns:
        Coefficients (N, T).
    """
    advantages = _to_go(rewards * mask)
    if baselines is not None:
        advantages = advantages - baselines
    return (advantages * mask / len(rewards)).detach()


def hpg(
    log_probabilities: Tensor,
    behavior: Tensor,
    rewards: Tensor,
    mask: Tensor,
    baselines: Tensor | None = None,
) -> Tensor:
    """Per-decision hindsight policy gradient: each reward is weighted by how much likelier the
    actions up to it were for the hindsight goal than for the episode's own.

    Args:
        log_probabilities: Log-probabilities (N, T, G) of the actions for each hindsight goal.
        behavior: The same (N, T) for the goal that the episode pursued.
        rewards: Rewards (N, T, G) that follow each step's action, for each hindsight goal.
        mask: Bool (N, T), True for steps that were taken.
        baselines: Expected sums of rewards (N, T, G), 0 from the first reward on; 0 without.

    Returns:
        Coefficients (N, T, G).
    """
    weights = _log_weights(log_probabilities, behavior, mask).exp()
    return _coefficients(weights / len(rewards), rewards, baselines)


def weighted_hpg(
    log_probabilities: Tensor,
    behavior: Tensor,
    rewards: Tensor,
    mask: Tensor,
    baselines: Tensor | None = None,
) -> Tensor:
    """Weighted per-decision hindsight policy gradient: the weights are divided by their sum over
    the episodes, for each goal and time step; biased, and consistent in N.

    Args:
        log_probabilities: As for ``hpg``.
        behavior: As for ``hpg``.
        rewards: As for ``hpg``.
        mask: As for ``hpg``.
        baselines: As for ``hpg``.

    Returns:
        Coefficients (N, T, G).
    """
    weights = _log_weights(log_probabilities, behavior, mask)
    # The softmax of log(w + epsilon) is (w + epsilon) / sum(w + epsilon), and never overflows.
    floor = weights.new_full((), math.log(EPSILON))
    return _coefficients(torch.logaddexp(weights, floor).softmax(0), rewards, baselines)


def _log_weights(log_probabilities: Tensor, behavior: Tensor, mask: Tensor) -> Tensor:
    """Logarithms (N, T, G) of the importance weights of all actions up to each step's own."""
    ratios = (log_probabilities - behavior[..., None]).detach()
    taken = mask[..., None]
    sums = ratios.masked_fill(~taken, 0).cumsum(1)
    return sums.masked_fill(~taken, -math.inf)


def _coefficients(weights: Tensor, rewards: Tensor, baselines: Tensor | None) -> Tensor:
    # Where there is no reward there is nothing to weigh, even if the weight is infinite.
    advantages = _to_go((weights * rewards).where(rewards != 0, 0))
    if baselines is not None:
        advantages = advantages - (weights * baselines).where(baselines != 0, 0)
    return advantages.detach()


def _to_go(rewards: Tensor) -> Tensor:
    """Sums (N, T, ...) over each step and all after it."""
    return rewards.flip(1).cumsum(1).flip(1)
