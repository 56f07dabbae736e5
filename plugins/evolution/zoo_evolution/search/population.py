"""The base of methods that keep a population of genomes and breed from the best of it."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from zoo.plugin import above, within
from zoo_evolution.search.base import Optimizer
from zoo_evolution.search.genetic import cauchy, crossed


class Breeding(Optimizer):
    """Keeps genomes, and makes new ones of good ones by crossover and Cauchy mutation.

    Args:
        start: Where genomes are drawn around (d,).
        population: Genomes, m.
        seed: Of everything that is drawn.
        spread: Genomes begin evenly within it to both sides of the start.
        mutation_rate: The share of a child's numbers that get noise.
        mutation_scale: Of the Cauchy noise.
        dtype: Of genomes.
        device: Where they live.

    Raises:
        UsageError: an argument is out of its range.
    """

    smallest_population: ClassVar[int] = 4
    kept: ClassVar[tuple[str, ...]] = ("genomes",)

    def __init__(
        self,
        start: Tensor,
        population: int,
        seed: int,
        spread: float,
        mutation_rate: float,
        mutation_scale: float,
        dtype: torch.dtype,
        device: torch.device | str,
    ) -> None:
        super().__init__(start, population, seed, dtype, device)
        above("spread", spread, 0)
        above("mutation_scale", mutation_scale, 0)
        within("mutation_rate", mutation_rate, 0, 1)
        self.mutation_rate, self.mutation_scale = mutation_rate, mutation_scale
        drawn = self._uniform(population, self.dimension) * 2 - 1
        self.genomes = self.best + spread * drawn
        """(m, d)."""

    @property
    def center(self) -> Tensor:
        """The best genome so far: a population has no center of its own."""
        return self.best

    @property
    def spread(self) -> float:
        """The mean standard deviation of a number over the population."""
        return float(self.genomes.std(0).mean())

    def _draw(self) -> Tensor:
        return self.genomes

    def _children(self, parents: Tensor, count: int) -> Tensor:
        """New genomes (count, k) of the best (p, k): pairs drawn evenly, crossed at a point and
        mutated."""
        first = self._index(len(parents), count)
        other = (first + 1 + self._index(max(1, len(parents) - 1), count)) % len(parents)
        cut = self._index(parents.shape[1] + 1, count)
        return self._mutated(crossed(parents, first, other, cut))

    def _mutated(self, genomes: Tensor) -> Tensor:
        noise = cauchy(self._uniform(*genomes.shape), self.mutation_scale)
        hit = self._uniform(*genomes.shape) < self.mutation_rate
        return torch.where(hit, genomes + noise, genomes)

    def _index(self, below: int, count: int) -> Tensor:
        return torch.randint(below, (count,), generator=self.random).to(self.device)


def best_first(fitness: Tensor) -> Tensor:
    """Indices by falling fitness, int64 (n,); equal ones in the order in which they are."""
    return fitness.argsort(descending=True, stable=True)
