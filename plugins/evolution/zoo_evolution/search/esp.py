"""ESP: every hidden neuron has a population of its own, and a net takes one neuron of each.

    for each generation:
      for each of the trials:                                          _draw
        shuffle each population of neurons; the k-th of each make the k-th net
      a neuron's fitness is the mean over the nets it was in           _learn
      in each population: cross and mutate pairs of the best quarter;
        the children replace the worst half
      if the best net has not improved for 20 generations: burst       _burst
        each population is drawn anew around its neuron in the best net, with Cauchy noise

Gomez, Miikkulainen: Solving non-Markovian control tasks with neuroevolution, IJCAI 1999; Gomez,
Schmidhuber, Miikkulainen, JMLR 9 (2008), section 5.1. There a second burst without improvement
adds or removes a neuron; here the size of the net stays.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from zoo.plugin import at_least, require
from zoo_evolution.search.genetic import cauchy
from zoo_evolution.search.population import Breeding, best_first


class Esp(Breeding):
    """Enforced sub-populations with burst mutation.

    Args:
        start: Where genomes are drawn around (d,).
        neurons: Where each neuron's weights lie in a genome, int64 (h, g): each place once.
        population: Neurons in each of the h populations.
        trials: Nets that each neuron is in, a generation: ``population * trials`` evaluations.
        seed: Of everything that is drawn.
        spread: Weights begin evenly within it to both sides of the start.
        mutation_rate: The share of a child's weights that get noise.
        mutation_scale: Of the Cauchy noise, in bursts too.
        patience: Generations without a better net before a burst.
        dtype: Of genomes.
        device: Where they live.

    Raises:
        UsageError: an argument is out of its range, or the neurons do not make up the genome.
    """

    kept: ClassVar[tuple[str, ...]] = (
        "genomes",
        "stagnant",
        "bursts",
        "_members",
        "_best_before",
    )

    def __init__(
        self,
        start: Tensor,
        neurons: Tensor,
        population: int = 40,
        trials: int = 10,
        seed: int = 0,
        spread: float = 10.0,
        mutation_rate: float = 0.4,
        mutation_scale: float = 0.3,
        patience: int = 20,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        at_least("trials", trials, 1)
        at_least("patience", patience, 1)
        whole = neurons.flatten().sort().values.tolist() == list(range(len(start)))
        require(whole, "the neurons' weights are not each number of the genome once")
        super().__init__(
            start, population, seed, spread, mutation_rate, mutation_scale, dtype, device
        )
        self.neurons, self.trials, self.patience = neurons.to(self.device), trials, patience
        self.stagnant = 0
        """Generations since the best net so far was found, or since the last burst."""
        self.bursts = 0
        self._members: Tensor | None = None  # (trials, population, h): which neurons a net has
        self._best_before = -torch.inf
        self.population_of_neurons = population
        self.population = population * trials  # evaluations of a generation

    def _draw(self) -> Tensor:
        count, hidden = self.population_of_neurons, len(self.neurons)
        self._members = self._uniform(self.trials, count, hidden).argsort(1)
        nets = self.genomes.new_empty(self.trials * count, self.dimension)
        members = self._members.flatten(0, 1)
        for neuron, places in enumerate(self.neurons):
            nets[:, places] = self.genomes[members[:, neuron]][:, places]
        return nets

    def _learn(self, candidates: Tensor, fitness: Tensor) -> None:
        assert self._members is not None
        improved = float(fitness.max()) >= self.best_fitness > self._best_before
        self._best_before = self.best_fitness
        self.stagnant = 0 if improved else self.stagnant + 1
        if self.stagnant >= self.patience:
            self._burst()
        else:
            self._breed(fitness)
        self._members = None

    def _breed(self, fitness: Tensor) -> None:
        assert self._members is not None
        count = self.population_of_neurons
        floor = fitness[fitness.isfinite()].min() if bool(fitness.isfinite().any()) else 0.0
        summed = torch.where(fitness.isfinite(), fitness, floor)
        for neuron, places in enumerate(self.neurons):
            totals = summed.new_zeros(count)
            totals.index_add_(0, self._members[:, :, neuron].flatten(), summed)
            ranked = self.genomes[best_first(totals)][:, places]
            children = self._children(ranked[: count // 4], count // 2)
            self.genomes[:, places] = torch.cat([ranked[: count - count // 2], children])

    def _burst(self) -> None:
        noise = cauchy(self._uniform(*self.genomes.shape), self.mutation_scale)
        self.genomes = self.best + noise
        self.stagnant = 0
        self.bursts += 1
