"""PGPE: parameter-exploring policy gradients, in pairs to both sides of the center.

    for each generation:
      e_k ~ N(0, diag(sigma^2)), candidates center + e_k and center - e_k   _draw
      u+, u- = centered ranks of their fitness                              utilities.py
      gradient of the center = mean of e_k (u+ - u-) / 2                    _learn
      gradient of sigma = mean of ((u+ + u-) / 2) (e_k^2 - sigma^2) / sigma
      center <- center + the velocity of ClipUp                             clip_up.py
      sigma <- sigma + lr_step * its gradient, by a share of it at most

Sehnke, Osendorfer, Rückstieß, Graves, Peters, Schmidhuber: Parameter-exploring policy gradients,
Neural Networks 23 (2010), sections 2.3 and 2.4. Ranks in place of rewards, ClipUp and the limit of
sigma's change: Toklu, Liskowski, Srivastava, PPSN 2020. The mean of the centered ranks is 0, which
is the baseline.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.plugin import above, require, within
from zoo_evolution.search.base import Optimizer
from zoo_evolution.search.clip_up import clip_up
from zoo_evolution.search.utilities import centered_ranks, shared_by_rank


class PGPE(Optimizer):
    """Policy gradients with parameter-based exploration.

    Args:
        start: The first center (d,).
        step_size: sigma in the beginning; None: such that sigma sqrt(d) is 15 times ``max_speed``.
        population: Candidates of a generation, an even number.
        seed: Of the noise.
        max_speed: The longest step of the center.
        lr: Length of the step along the gradient; half of ``max_speed`` if None.
        momentum: Of the center's velocity.
        lr_step: eta of sigma; 0 keeps it.
        max_change: The share of itself by which sigma changes at most.
        dtype: Of candidates and state.
        device: Where they live.

    Raises:
        UsageError: an argument is out of its range.
    """

    kept = ("mean", "steps", "velocity", "_noise")

    def __init__(
        self,
        start: Tensor,
        step_size: float | None = None,
        population: int = 200,
        seed: int = 0,
        max_speed: float = 0.15,
        lr: float | None = None,
        momentum: float = 0.9,
        lr_step: float = 0.1,
        max_change: float = 0.2,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(start, population, seed, dtype, device)
        require(
            population % 2 == 0, f"the population of PGPE is of pairs: {population} is not even"
        )
        above("max_speed", max_speed, 0)
        within("momentum", momentum, 0, 1, below=True)
        within("max_change", max_change, 0, 1, below=True)
        size = 15 * max_speed / self.dimension**0.5 if step_size is None else step_size
        above("step_size", size, 0)
        self.max_speed, self.momentum = max_speed, momentum
        self.lr = max_speed / 2 if lr is None else lr
        self.lr_step, self.max_change = lr_step, max_change
        self.mean = self.best.clone()
        """The center (d,)."""
        self.steps = torch.full_like(self.mean, size)
        """sigma (d,)."""
        self.velocity = torch.zeros_like(self.mean)
        self._noise: Tensor | None = None
        self._utilities = centered_ranks(population)

    @property
    def center(self) -> Tensor:
        return self.mean

    @property
    def spread(self) -> float:
        """The mean of sigma."""
        return float(self.steps.mean())

    def _draw(self) -> Tensor:
        self._noise = self.steps * self._normal(self.population // 2, self.dimension)
        return torch.cat([self.mean + self._noise, self.mean - self._noise])

    def _learn(self, candidates: Tensor, fitness: Tensor) -> None:
        assert self._noise is not None
        noise, pairs = self._noise, self.population // 2
        ahead, below = shared_by_rank(fitness, self._utilities).split(pairs)
        towards = ((ahead - below) / 2) @ noise / pairs
        self.velocity = clip_up(self.velocity, towards, self.lr, self.momentum, self.max_speed)
        self.mean = self.mean + self.velocity
        growth = ((ahead + below) / 2) @ ((noise**2 - self.steps**2) / self.steps) / pairs
        limit = self.max_change * self.steps
        self.steps = self.steps + (self.lr_step * growth).clamp(-limit, limit)
        self._noise = None
