"""SNES: a normal distribution with a step size for each dimension.

    for each generation:
      s_k ~ N(0, I), z_k = mean + sigma * s_k                          _draw
      u_k = utility of the rank of f(z_k)                              utilities.py
      mean  <- mean + eta_mean sigma * sum of u_k s_k                  _learn
      sigma <- sigma * exp(eta_sigma / 2 * sum of u_k (s_k^2 - 1))

Wierstra, Schaul, Glasmachers, Sun, Peters, Schmidhuber: Natural Evolution Strategies, JMLR 15
(2014), algorithm 6 and table 1. Time and memory of a candidate are O(d).
"""

from __future__ import annotations

from math import log, sqrt

import torch
from torch import Tensor

from zoo.plugin import above
from zoo_evolution.search.base import Optimizer
from zoo_evolution.search.utilities import default_population, rank_utilities, shared_by_rank


class SNES(Optimizer):
    """Separable natural evolution strategy.

    Args:
        start: The first mean (d,).
        step_size: Of every dimension in the beginning.
        population: Candidates of a generation; 4 + floor(3 ln d) if None.
        seed: Of the noise.
        lr_mean: eta of the mean.
        lr_step: eta of the step sizes; (3 + ln d) / (5 sqrt d) if None.
        smallest_step: Step sizes are kept at or above it, and below 1e10: after some thousand
            generations they would run out of the numbers that there are. A floor near the step
            that still matters keeps a search on a noisy or flat function alive.
        dtype: Of candidates and state.
        device: Where they live.

    Raises:
        UsageError: an argument is out of its range.
    """

    kept = ("mean", "steps", "_noise")

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
        self.lr_step = (3 + log(d)) / (5 * sqrt(d)) if lr_step is None else lr_step
        self.smallest_step = smallest_step
        self.mean = self.best.clone()
        """Of the distribution (d,)."""
        self.steps = torch.full_like(self.mean, step_size)
        """Its standard deviations (d,)."""
        self._noise: Tensor | None = None
        self._utilities = rank_utilities(count)

    @property
    def center(self) -> Tensor:
        return self.mean

    @property
    def spread(self) -> float:
        """The mean of the step sizes."""
        return float(self.steps.mean())

    def _draw(self) -> Tensor:
        self._noise = self._normal(self.population, self.dimension)
        return self.mean + self.steps * self._noise

    def _learn(self, candidates: Tensor, fitness: Tensor) -> None:
        assert self._noise is not None
        utilities = shared_by_rank(fitness, self._utilities)
        self.mean = self.mean + self.lr_mean * self.steps * (utilities @ self._noise)
        growth = (utilities @ (self._noise**2 - 1)) * (self.lr_step / 2)
        self.steps = (self.steps * growth.exp()).clamp(self.smallest_step, 1e10)
        self._noise = None
