"""CoSyNE: every weight has a population of its own, and they are evolved together.

    genomes: m complete nets; column i of them is the population of weight i
    for each generation:
      evaluate all m nets, and sort them by fitness                    _learn
      cross and mutate pairs of the best quarter                       population.py
      the children replace the worst quarter
      permute each weight among the nets that are no children          _permute
      (but for the elites; with permute: by-fitness only some, the better a net the fewer)

Gomez, Schmidhuber, Miikkulainen: Accelerated Neural Evolution through Cooperatively Coevolved
Synapses, JMLR 9 (2008), section 4 and figure 4.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from zoo.plugin import one_of, require
from zoo_evolution.search.population import Breeding, best_first


class Cosyne(Breeding):
    """Cooperative synapse neuroevolution.

    Args:
        start: Where genomes are drawn around (d,).
        population: Nets, m; a quarter of them are parents, and as many are replaced.
        seed: Of everything that is drawn.
        spread: Weights begin evenly within it to both sides of the start.
        mutation_rate: The share of a child's weights that get noise.
        mutation_scale: Of the Cauchy noise.
        permute: ``all``: every weight of the nets that are no children; ``by-fitness``: each with
            probability 1 - f^(1/d), f being the net's fitness scaled from 0 to 1.
        elites: The best nets, whose weights stay together; 0 in the publication's simplest form,
            while by fitness the best one always stays.
        dtype: Of genomes.
        device: Where they live.

    Raises:
        UsageError: an argument is out of its range.
    """

    kept: ClassVar[tuple[str, ...]] = ("genomes",)

    def __init__(
        self,
        start: Tensor,
        population: int = 30,
        seed: int = 0,
        spread: float = 10.0,
        mutation_rate: float = 0.3,
        mutation_scale: float = 0.3,
        permute: Literal["all", "by-fitness"] = "all",
        elites: int = 0,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(
            start, population, seed, spread, mutation_rate, mutation_scale, dtype, device
        )
        one_of("permute", permute, ("all", "by-fitness"))
        old = population - population // 4
        require(
            0 <= elites < old,
            f"elites of CoSyNE has to be from 0 to {old - 1}, of the {old} nets of {population} "
            f"that no child replaces, not {elites}",
        )
        self.permute, self.elites = permute, elites

    def _learn(self, candidates: Tensor, fitness: Tensor) -> None:
        order = best_first(fitness)
        genomes, fitness = candidates[order], fitness[order]
        quarter = self.population // 4
        stay, old = self.elites, self.population - quarter
        moved = self._permute(genomes[stay:old], scaled(fitness)[stay:old])
        children = self._children(genomes[:quarter], quarter)
        self.genomes = torch.cat([genomes[:stay], moved, children])

    def _permute(self, old: Tensor, share: Tensor) -> Tensor:
        """Each weight among these nets (n, d), of fitness from 0 to 1 (n,); those that are marked
        to move trade places."""
        count = len(old)
        keys = self._uniform(count, self.dimension)
        if self.permute == "all":
            return old.gather(0, keys.argsort(0))
        stays = share ** (1 / self.dimension)
        moves = self._uniform(count, self.dimension) >= stays[:, None]
        permuted = old.clone()
        for weight in range(self.dimension):
            places = torch.nonzero(moves[:, weight])[:, 0]
            traded = places[keys[places, weight].argsort()]
            permuted[places, weight] = old[traded, weight]
        return permuted


def scaled(fitness: Tensor) -> Tensor:
    """From 0 for the worst finite fitness to 1 for the best; -inf counts as 0."""
    finite = fitness[fitness.isfinite()]
    if not len(finite) or float(finite.max() - finite.min()) == 0:
        return torch.ones_like(fitness)
    low, high = finite.min(), finite.max()
    return ((fitness - low) / (high - low)).clamp(0, 1).nan_to_num(0.0)
