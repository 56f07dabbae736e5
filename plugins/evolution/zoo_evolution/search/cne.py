"""Conventional neuroevolution: whole genomes are crossed and mutated; the baseline of the tables.

    for each generation:
      evaluate all genomes, and sort them by fitness
      cross and mutate pairs of the best quarter; the children replace the worst half

Gomez, Schmidhuber, Miikkulainen, JMLR 9 (2008), section 5.1, where its numbers are; the rates are
those of ESP there.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo_evolution.search.population import Breeding, best_first


class Cne(Breeding):
    """Conventional neuroevolution.

    Args:
        start: Where genomes are drawn around (d,).
        population: Genomes.
        seed: Of everything that is drawn.
        spread: Weights begin evenly within it to both sides of the start.
        mutation_rate: The share of a child's weights that get noise.
        mutation_scale: Of the Cauchy noise.
        dtype: Of genomes.
        device: Where they live.

    Raises:
        UsageError: an argument is out of its range.
    """

    def __init__(
        self,
        start: Tensor,
        population: int = 100,
        seed: int = 0,
        spread: float = 10.0,
        mutation_rate: float = 0.4,
        mutation_scale: float = 0.3,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(
            start, population, seed, spread, mutation_rate, mutation_scale, dtype, device
        )

    def _learn(self, candidates: Tensor, fitness: Tensor) -> None:
        genomes = candidates[best_first(fitness)]
        new = self.population // 2
        children = self._children(genomes[: self.population // 4], new)
        self.genomes = torch.cat([genomes[: self.population - new], children])
