"""OpenAI's evolution strategy, whose noise is kept as seeds alone: for nets of many weights.

    for each generation:
      for each pair k: e_k ~ N(0, I) from the seed of the run, the generation and k      noise
        candidates center + sigma e_k and center - sigma e_k
      u+, u- = centered ranks of their fitness                                  utilities.py
      g = sum of e_k (u+ - u-) / (2 pairs sigma), each e_k drawn once more      _learn
      center <- center + a step of Adam along g - decay * center

Salimans, Ho, Chen, Sidor, Sutskever: Evolution strategies as a scalable alternative to
reinforcement learning, arXiv:1703.03864, algorithm 2. ``candidate`` gives one candidate at a time,
so that a population never lies in memory at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.plugin import above, require
from zoo_evolution.search.base import Optimizer
from zoo_evolution.search.utilities import centered_ranks, shared_by_rank


class OpenES(Optimizer):
    """Evolution strategy with mirrored noise from seeds, centered ranks and Adam.

    Args:
        start: The first center (d,).
        step_size: sigma, which stays.
        population: Candidates of a generation, an even number.
        seed: Of the noise.
        lr: Of Adam.
        decay: Weight decay of the center.
        dtype: Of candidates and state.
        device: Where they live; noise is drawn on the CPU, so that it is the same everywhere.

    Raises:
        UsageError: an argument is out of its range.
    """

    kept = ("mean", "first", "second")

    def __init__(
        self,
        start: Tensor,
        step_size: float = 0.02,
        population: int = 100,
        seed: int = 0,
        lr: float = 0.01,
        decay: float = 0.0,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(start, population, seed, dtype, device)
        require(
            population % 2 == 0, f"the population of OpenES is of pairs: {population} is not even"
        )
        above("step_size", step_size, 0)
        above("lr", lr, 0)
        self.seed, self.sigma, self.lr, self.decay = seed, step_size, lr, decay
        self.mean = self.best.clone()
        """The center (d,)."""
        self.first, self.second = torch.zeros_like(self.mean), torch.zeros_like(self.mean)
        self._utilities = centered_ranks(population)

    @property
    def center(self) -> Tensor:
        return self.mean

    @property
    def spread(self) -> float:
        """sigma."""
        return self.sigma

    def noise(self, pair: int) -> Tensor:
        """The noise (d,) of a pair of this generation, drawn anew at every call."""
        number = (self.seed * 1_000_003 + self.generations) * 1_000_003 + pair
        random = torch.Generator().manual_seed(number % (1 << 63))
        drawn = torch.randn(self.dimension, generator=random, dtype=torch.float64)
        return drawn.to(self.device, self.dtype)

    def candidate(self, number: int) -> Tensor:
        """One candidate (d,) of this generation: the first half are above the center, the second
        below it."""
        pairs = self.population // 2
        side = 1 if number < pairs else -1
        return self.mean + side * self.sigma * self.noise(number % pairs)

    def tell_scores(self, fitness: Tensor) -> None:
        """``tell`` for candidates that were asked for one by one by ``candidate``.

        Args:
            fitness: That of each candidate, in order (population,).
        """
        best = int(torch.nan_to_num(fitness, -torch.inf).argmax())
        if float(fitness[best]) > self.best_fitness:
            self.best, self.best_fitness = self.candidate(best), float(fitness[best])
        self._learn(self.best, torch.nan_to_num(fitness.to(self.mean), -torch.inf))
        self.evaluations += len(fitness)
        self.generations += 1

    def _draw(self) -> Tensor:
        return torch.stack([self.candidate(number) for number in range(self.population)])

    def _learn(self, candidates: Tensor, fitness: Tensor) -> None:
        pairs = self.population // 2
        ahead, below = shared_by_rank(fitness, self._utilities).split(pairs)
        gradient = -self.decay * self.mean
        for pair, weight in enumerate(((ahead - below) / (2 * pairs * self.sigma)).tolist()):
            gradient += weight * self.noise(pair)
        self._adam(gradient)

    def _adam(self, gradient: Tensor) -> None:
        step = self.generations + 1
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.999 * self.second + 0.001 * gradient**2
        scale = self.lr * (1 - 0.999**step) ** 0.5 / (1 - 0.9**step)
        self.mean = self.mean + scale * self.first / (self.second.sqrt() + 1e-8)
