"""Random search: the control that every table needs."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.plugin import above
from zoo_evolution.search.base import Optimizer


class RandomSearch(Optimizer):
    """Every candidate is drawn evenly around the start; nothing is learnt.

    Args:
        start: The middle of the box (d,).
        population: Candidates of a generation.
        seed: Of everything that is drawn.
        spread: Half the side of the box.
        dtype: Of candidates.
        device: Where they live.

    Raises:
        UsageError: an argument is out of its range.
    """

    smallest_population = 1

    def __init__(
        self,
        start: Tensor,
        population: int = 100,
        seed: int = 0,
        spread: float = 10.0,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(start, population, seed, dtype, device)
        above("spread", spread, 0)
        self._middle, self._half_side = self.best.clone(), spread

    @property
    def center(self) -> Tensor:
        """The best so far."""
        return self.best

    @property
    def spread(self) -> float:
        """Half the side of the box."""
        return self._half_side

    def _draw(self) -> Tensor:
        drawn = self._uniform(self.population, self.dimension) * 2 - 1
        return self._middle + self._half_side * drawn

    def _learn(self, candidates: Tensor, fitness: Tensor) -> None:
        """Nothing."""
