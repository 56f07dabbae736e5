"""What all optimizers share: ask, tell, the best so far, and a state that a run continues from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from zoo.plugin import UsageError, at_least


class Optimizer(ABC):
    """Maximizes a function of a vector by asking for the fitness of candidates.

    A loop of ``tell(fitness(ask()))``. Higher is better; negate what is to be minimized. NaN counts
    as the worst of a generation. Everything is computed in float64 unless told otherwise, and drawn
    from a generator of the optimizer's own on the CPU, so that a seed means the same on every
    device.

    Args:
        start: Where the search begins (d,).
        population: Candidates of a generation.
        seed: Of everything that is drawn.
        dtype: Of candidates and state.
        device: Where they live.

    Raises:
        UsageError: the start is no vector of finite numbers, or the population is too small.
    """

    smallest_population: ClassVar[int] = 2
    """With fewer candidates the method is not defined."""
    kept: ClassVar[tuple[str, ...]] = ()
    """Attributes of a method that its state consists of: tensors, numbers, or lists of numbers."""
    _COMMON: ClassVar[tuple[str, ...]] = ("best", "best_fitness", "evaluations", "generations")

    def __init__(
        self,
        start: Tensor,
        population: int,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        if start.ndim != 1 or not len(start) or not bool(start.isfinite().all()):
            raise UsageError(
                f"a search begins at one vector of finite numbers, not at a tensor of shape "
                f"{tuple(start.shape)}" + ("" if start.ndim != 1 else " or one that is not finite")
            )
        at_least(f"the population of {type(self).__name__}", population, self.smallest_population)
        self.dtype, self.device = dtype, torch.device(device)
        self.dimension, self.population = len(start), population
        self.random = torch.Generator().manual_seed(seed)
        self.best = start.detach().clone().to(self.device, dtype)
        """The best candidate so far (d,); the start before any is evaluated."""
        self.best_fitness = -torch.inf
        """Its fitness as it was told."""
        self.evaluations = 0
        """Candidates evaluated so far."""
        self.generations = 0
        """How often ``tell`` was called."""
        self._asked: Tensor | None = None

    @property
    @abstractmethod
    def center(self) -> Tensor:
        """What the method holds for the best guess now (d,), such as the mean it draws around."""

    @property
    @abstractmethod
    def spread(self) -> float:
        """One number for how far candidates lie from the center, such as the mean step size."""

    @abstractmethod
    def _draw(self) -> Tensor:
        """New candidates (n, d)."""

    @abstractmethod
    def _learn(self, candidates: Tensor, fitness: Tensor) -> None:
        """Take the fitness (n,) of what was drawn; there is no NaN in it."""

    def ask(self) -> Tensor:
        """Candidates to be evaluated (n, d). Until they are told the same ones are given again."""
        if self._asked is None:
            self._asked = self._draw()
        return self._asked.clone()

    def tell(self, fitness: Tensor) -> None:
        """Learn from a generation.

        Args:
            fitness: That of each candidate of the last ``ask``, in its order (n,).

        Raises:
            UsageError: nothing was asked, or there is not one number for each candidate.
        """
        if self._asked is None:
            raise UsageError("tell was called before ask: there are no candidates to be told of")
        candidates = self._asked
        if fitness.shape != (len(candidates),):
            raise UsageError(
                f"tell takes one number for each of {len(candidates)} candidates, a tensor of "
                f"shape ({len(candidates)},), not one of {tuple(fitness.shape)}"
            )
        fitness = nan_is_worst(fitness.detach().to(self.device, self.dtype))
        self._asked = None
        self.evaluations += len(candidates)
        if len(candidates):
            index = int(fitness.argmax())
            if float(fitness[index]) > self.best_fitness:
                self.best, self.best_fitness = candidates[index].clone(), float(fitness[index])
        self._learn(candidates, fitness)
        self.generations += 1

    def state_dict(self) -> dict[str, Any]:
        """All that the search continues from, also between ``ask`` and ``tell``: tensors and plain
        numbers, copied."""
        state = {name: _copied(getattr(self, name)) for name in (*self._COMMON, *self.kept)}
        return state | {"asked": _copied(self._asked), "random": self.random.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where another search of the same arguments was.

        Raises:
            UsageError: the state is that of another method or of other sizes.
        """
        names = {*self._COMMON, *self.kept, "asked", "random"}
        if set(state) != names:
            differing = ", ".join(sorted(set(state) ^ names))
            raise UsageError(
                f"this is not the state of a search by {type(self).__name__}: {differing} is in "
                "only one of the two"
            )
        if state["best"].shape != self.best.shape:
            raise UsageError(
                f"this is the state of a search in {len(state['best'])} dimensions, and this one "
                f"has {self.dimension}"
            )
        for name in (*self._COMMON, *self.kept):
            setattr(self, name, self._placed(state[name]))
        self._asked = self._placed(state["asked"])
        self.random.set_state(state["random"].cpu())

    def _placed(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return _copied(value)
        dtype = self.dtype if value.is_floating_point() else value.dtype
        return value.to(self.device, dtype, copy=True)

    def _normal(self, *shape: int) -> Tensor:
        """Standard normal numbers."""
        drawn = torch.randn(*shape, generator=self.random, dtype=torch.float64)
        return drawn.to(self.device, self.dtype)

    def _uniform(self, *shape: int) -> Tensor:
        """Numbers drawn evenly from 0 to 1."""
        drawn = torch.rand(*shape, generator=self.random, dtype=torch.float64)
        return drawn.to(self.device, self.dtype)


def nan_is_worst(fitness: Tensor) -> Tensor:
    """The fitness with NaN as -inf, so that no comparison ever meets it."""
    return torch.where(fitness.isnan(), -torch.inf, fitness)


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    return list(value) if isinstance(value, list) else value
