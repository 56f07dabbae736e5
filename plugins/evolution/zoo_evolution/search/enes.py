"""eNES: a normal distribution with a full covariance, and the exact natural gradient of its factor.

The covariance is A'A with A upper triangular. For a sample z = mean + A's the exact Fisher matrix
is block-diagonal by the mean and the rows of A. A block's inverse times the gradient, for row k,

    F_k = 1/a_kk^2 e e' + (A_k' A_k)^-1 with A_k = A[k:, k:], so by Sherman and Morrison
    F_k^-1 = A_k' A_k - 1/2 a_k a_k' with the row a_k = A[k, k:]

comes to the row k of V A, where V is the upper triangle of s s' whose diagonal is (s^2 - 1) / 2;
that of the mean to A's.

    for each generation:
      keep old samples, draw and evaluate new ones                     importance_mixing.py
      u = utilities of the ranks of all n of them                      utilities.py
      for each block: b = sum of u |g|^2 / sum of |g|^2                _baselined
      block <- block + eta sum of (u - b) g                            _learn

Sun, Wierstra, Schaul, Schmidhuber: Efficient natural evolution strategies, GECCO 2009
(arXiv:1209.5853). There the fitness itself takes the place of u; ranks make the search invariant
to its scale, as in JMLR 15 (2014).
"""

from __future__ import annotations

from math import log, pi

import torch
from torch import Tensor

from zoo.plugin import above, within
from zoo_evolution.search.base import Optimizer
from zoo_evolution.search.importance_mixing import filled, kept_of_old, taken_of_new
from zoo_evolution.search.utilities import rank_utilities, shared_by_rank


class ENES(Optimizer):
    """Efficient natural evolution strategy.

    Args:
        start: The first mean (d,).
        step_size: Standard deviation of every dimension in the beginning.
        population: Samples of a generation, old ones and new; 8 d + 20 if None.
        seed: Of everything that is drawn.
        lr_mean: eta of the mean.
        lr_factor: eta of A.
        importance_mixing: Keep old samples where that does not change the distribution.
        refresh: alpha, the least share of samples that is drawn anew.
        baselines: Subtract from the utilities what makes each block's estimate vary least.
        dtype: Of samples and state.
        device: Where they live.

    Raises:
        UsageError: an argument is out of its range.
    """

    kept = ("mean", "factor", "_points", "_fitness", "_old_mean", "_old_factor")

    def __init__(
        self,
        start: Tensor,
        step_size: float = 1.0,
        population: int | None = None,
        seed: int = 0,
        lr_mean: float = 1.0,
        lr_factor: float = 0.5,
        importance_mixing: bool = True,
        refresh: float = 0.01,
        baselines: bool = True,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        count = 8 * len(start) + 20 if population is None else population
        super().__init__(start, count, seed, dtype, device)
        positive = {"step_size": step_size, "lr_mean": lr_mean, "lr_factor": lr_factor}
        for name, value in positive.items():
            above(name, value, 0)
        within("refresh", refresh, 0, 1)
        self.lr_mean, self.lr_factor = lr_mean, lr_factor
        self.importance_mixing, self.refresh = importance_mixing, refresh
        self.baselines = baselines
        self.mean = self.best.clone()
        """Of the distribution (d,)."""
        self.factor = step_size * torch.eye(self.dimension, dtype=dtype, device=self.device)
        """A (d, d), upper triangular: the covariance is A'A."""
        self._points: Tensor | None = None  # of the last generation, and their fitness
        self._fitness: Tensor | None = None
        self._old_mean: Tensor | None = None
        self._old_factor: Tensor | None = None
        self._utilities = rank_utilities(count)

    @property
    def center(self) -> Tensor:
        return self.mean

    @property
    def spread(self) -> float:
        """The d-th root of the determinant of A."""
        return float(self.factor.diagonal().abs().log().mean().exp())

    def _draw(self) -> Tensor:
        old_mean, old_factor = self._old_mean, self._old_factor
        if not self.importance_mixing or self._points is None:
            self._points = self._fitness = None
            return self._sampled(self.population)
        assert old_mean is not None
        assert old_factor is not None
        assert self._fitness is not None

        def old(points: Tensor) -> Tensor:
            return log_density(points, old_mean, old_factor)

        def new(points: Tensor) -> Tensor:
            return log_density(points, self.mean, self.factor)

        def take(points: Tensor) -> Tensor:
            return taken_of_new(points, old, new, self.refresh, self._uniform(len(points)))

        chance = self._uniform(self.population)
        kept = kept_of_old(self._points, old, new, self.refresh, chance)
        self._points, self._fitness = self._points[kept], self._fitness[kept]
        return filled(self.population - len(self._points), self._sampled, take)

    def _sampled(self, count: int) -> Tensor:
        return self.mean + self._normal(count, self.dimension) @ self.factor

    def _learn(self, candidates: Tensor, fitness: Tensor) -> None:
        if self._points is None or self._fitness is None:
            points, values = candidates, fitness
        else:
            points = torch.cat([self._points, candidates])
            values = torch.cat([self._fitness, fitness])
        utilities = shared_by_rank(values, self._utilities)
        distances = points - self.mean
        noise = torch.linalg.solve_triangular(self.factor, distances, upper=True, left=False)
        moved = self._baselined(utilities, distances[:, None])[0]
        products = (noise[:, :, None] * noise[:, None, :]).triu()
        products.diagonal(dim1=1, dim2=2).sub_(1).mul_(0.5)
        turned = self._baselined(utilities, products @ self.factor)
        self._points, self._fitness = points, values
        self._old_mean, self._old_factor = self.mean, self.factor
        self.mean = self.mean + self.lr_mean * moved
        self.factor = _kept_apart(self.factor, self.lr_factor * turned)

    def _baselined(self, utilities: Tensor, gradients: Tensor) -> Tensor:
        """The weighted sum (blocks, d) of natural gradients (n, blocks, d)."""
        weights = utilities[:, None].expand(-1, gradients.shape[1])
        if self.baselines:
            squared = (gradients**2).sum(2)
            total = squared.sum(0).clamp(min=torch.finfo(self.dtype).tiny)
            weights = weights - (utilities @ squared) / total
        return (weights[:, :, None] * gradients).sum(0)


def log_density(points: Tensor, mean: Tensor, factor: Tensor) -> Tensor:
    """Logarithms (n,) of the normal density at points (n, d).

    Args:
        points: Where.
        mean: Of the distribution (d,).
        factor: Its upper triangular A (d, d), the covariance being A'A.
    """
    noise = torch.linalg.solve_triangular(factor, points - mean, upper=True, left=False)
    scale = factor.diagonal().abs().log().sum() + 0.5 * len(mean) * log(2 * pi)
    density: Tensor = -0.5 * (noise**2).sum(1) - scale
    return density


def _kept_apart(factor: Tensor, change: Tensor) -> Tensor:
    """The factor after a change, whose diagonal shrinks to a tenth at most: through 0 it would be
    no factor of a covariance any more."""
    diagonal = factor.diagonal()
    new = (factor + change).triu()
    least = torch.maximum(new.diagonal(), 0.1 * diagonal).clamp(min=1e-150)
    return new - torch.diag(new.diagonal()) + torch.diag(least)
