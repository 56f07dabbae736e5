"""xNES: a normal distribution with a full covariance, in its own natural coordinates.

    for each generation:
      s_k ~ N(0, I), z_k = mean + sigma B s_k                          _draw
      u_k = utility of the rank of f(z_k)                              utilities.py
      G_mean = sum of u_k s_k, G_M = sum of u_k (s_k s_k' - I)         _learn
      G_sigma = trace(G_M) / d, G_B = G_M - G_sigma I
      mean  <- mean + eta_mean sigma B G_mean
      sigma <- sigma exp(eta_sigma / 2 * G_sigma)
      B     <- B expm(eta_B / 2 * G_B)

Wierstra, Schaul, Glasmachers, Sun, Peters, Schmidhuber: Natural Evolution Strategies, JMLR 15
(2014), algorithm 5 and table 1. A generation takes O(d^3): for some hundred dimensions at most.
"""

from __future__ import annotations

from math import log, sqrt

import torch
from torch import Tensor

from zoo.plugin import above
from zoo_evolution.search.base import Optimizer
from zoo_evolution.search.utilities import default_population, rank_utilities, shared_by_rank


class XNES(Optimizer):
    """Exponential natural evolution strategy; invariant to rotations of the space.

    Args:
        start: The first mean (d,).
        step_size: sigma in the beginning.
        population: Candidates of a generation; 4 + floor(3 ln d) if None.
        seed: Of the noise.
        lr_mean: eta of the mean.
        lr_step: eta of sigma and B; (9 + 3 ln d) / (5 d sqrt d) if None.
        smallest_step: sigma is kept at or above it, and below 1e10.
        dtype: Of candidates and state.
        device: Where they live.

    Raises:
        UsageError: an argument is out of its range.
    """

    kept = ("mean", "sigma", "shape", "_noise")

    def __init__(
        self,
        start: Tensor,
        step_size: float = 1.0,
        population: int | None = None,
        seed: int = 0,
        lr_mean: float = 1.0,
        lr_step: float | None = None,
        smallest_step: float = 1e-20,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        count = default_population(len(start)) if population is None else population
        super().__init__(start, count, seed, dtype, device)
        for name, value in (("step_size", step_size), ("lr_mean", lr_mean)):
            above(name, value, 0)
        above("smallest_step", smallest_step, 0)
        d = self.dimension
        self.lr_mean = lr_mean
        self.lr_step = (9 + 3 * log(d)) / (5 * d * sqrt(d)) if lr_step is None else lr_step
        self.smallest_step = smallest_step
        self.mean = self.best.clone()
        """Of the distribution (d,)."""
        self.sigma = torch.tensor(step_size, dtype=dtype, device=self.device)
        """The step size, the d-th root of the determinant of ``sigma B``."""
        self.shape = torch.eye(d, dtype=dtype, device=self.device)
        """B (d, d), of determinant 1: the covariance is ``sigma^2 B B'``."""
        self._noise: Tensor | None = None
        self._utilities = rank_utilities(count)

    @property
    def center(self) -> Tensor:
        return self.mean

    @property
    def spread(self) -> float:
        """sigma."""
        return float(self.sigma)

    def _draw(self) -> Tensor:
        self._noise = self._normal(self.population, self.dimension)
        return self.mean + self.sigma * self._noise @ self.shape.T

    def _learn(self, candidates: Tensor, fitness: Tensor) -> None:
        assert self._noise is not None
        noise, utilities = self._noise, shared_by_rank(fitness, self._utilities)
        # The utilities sum to 0, so that the identity of s s' - I drops out.
        towards = noise.T @ (utilities[:, None] * noise)
        growth = towards.trace() / self.dimension
        turned = towards - growth * torch.eye(self.dimension).to(towards)
        self.mean = self.mean + self.lr_mean * self.sigma * (self.shape @ (utilities @ noise))
        self.sigma = (self.sigma * (self.lr_step / 2 * growth).exp()).clamp(
            self.smallest_step, 1e10
        )
        self.shape = self.shape @ torch.linalg.matrix_exp(self.lr_step / 2 * turned)
        self._noise = None
