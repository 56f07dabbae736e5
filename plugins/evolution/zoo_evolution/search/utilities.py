"""From fitness to utilities by rank: what a search learns does not depend on the fitness's scale.

Wierstra, Schaul, Glasmachers, Sun, Peters, Schmidhuber: Natural Evolution Strategies, JMLR 15
(2014), section 3.1 and table 1.
"""

from __future__ import annotations

from math import log

import torch
from torch import Tensor


def default_population(dimension: int) -> int:
    """4 + floor(3 ln d), of table 1."""
    return 4 + int(3 * log(dimension))


def rank_utilities(count: int) -> Tensor:
    """The utilities of ``count`` candidates, the best first, float64 (count,); their sum is 0.

    u_k = max(0, ln(n / 2 + 1) - ln k) / (the sum over all k) - 1 / n, section 3.1.
    """
    ranks = torch.arange(1, count + 1, dtype=torch.float64)
    raw = (log(count / 2 + 1) - ranks.log()).clamp(min=0)
    return raw / raw.sum() - 1 / count


def centered_ranks(count: int) -> Tensor:
    """From 0.5 for the best to -0.5 for the worst, evenly, float64 (count,)."""
    if count == 1:
        return torch.zeros(1, dtype=torch.float64)
    return torch.linspace(0.5, -0.5, count, dtype=torch.float64)


def shared_by_rank(fitness: Tensor, utilities: Tensor) -> Tensor:
    """Each candidate's utility, where those of equal fitness share theirs evenly.

    Without that a search drifts where all are equal, by the order of the sort alone. If all are
    equal, each gets the mean.

    Args:
        fitness: Higher is better, without NaN (n,).
        utilities: The best first (n,).

    Returns:
        In the order of ``fitness``, of its dtype and on its device (n,).
    """
    values, group = fitness.unique(sorted=True, return_inverse=True)
    group = len(values) - 1 - group  # the best is the first group
    order = group.argsort(stable=True)
    placed = utilities.to(fitness)
    sums = placed.new_zeros(len(values)).index_add_(0, group[order], placed)
    counts = placed.new_zeros(len(values)).index_add_(0, group, torch.ones_like(placed))
    return (sums / counts)[group]
