"""A function minimized by evolution. The loop is written out in ``evolving.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor

from zoo_evolution.evolving import Evolving
from zoo_evolution.objectives.objective import Objective
from zoo_evolution.plots import draw_point
from zoo_evolution.tasks.base import Outcome, first_solver


class BlackBox(Evolving):
    """The best point so far of a function that is known by its values alone.

    Within bounds a search goes by fractions of the box's sides: a ``step_size`` of 0.25 is a
    quarter of a side.

    Args:
        objective: The function, its dimension and its box. Filled in from the data.
        optimizer: ``snes``, ``xnes``, ``enes``, ``pgpe``, ``open-es``, ``cosyne``, ``cne`` or
            ``random-search``.
        options: The optimizer's arguments, such as ``{population: 20, step_size: 1.0}``.
        target: The value at which it counts as solved, and the training ends; None: never.
        keep: ``best``: the best point so far is kept; ``center``: the point that the search is
            around, for values that are noisy.
        evaluations_per_step: Points that a training step evaluates, so that a run is saved and
            resumed within a generation; 0 for all of it.

    Raises:
        UsageError: an argument is out of its range.
    """

    not_exportable: ClassVar[str] = "it is a point, not a function of inputs"
    row_name: ClassVar[str] = "point"
    plot_captions: ClassVar[dict[str, str]] = {
        "search": "Fitness, the value's negative, of the generations, and the step size.",
        "point": "The best point's coordinates.",
    }

    def __init__(
        self,
        objective: dict[str, Any],
        optimizer: str = "xnes",
        options: dict[str, Any] = {},  # noqa: B006  # read, never written
        target: float | None = None,
        keep: Literal["best", "center"] = "best",
        evaluations_per_step: int = 0,
    ) -> None:
        self.objective = Objective(**objective)
        self.target = target
        dimension = self.objective.box.dimension
        super().__init__(dimension, optimizer, options, keep, evaluations_per_step, stop=True)
        self.save_hyperparameters()
        self.champion.copy_(self.objective.box.encode(self.objective.box.start))

    @property
    def point(self) -> Tensor:
        """The best point (d,), float64."""
        return self.objective.box.decode(self.champion.double().cpu()[None])[0]

    @property
    def example_input(self) -> Tensor:
        return self.champion.detach().expand(2, -1).clone()

    def forward(self, genomes: Tensor) -> Tensor:
        """Points (n, d), within the box, of what is searched (n, d)."""
        return self.objective.box.decode(genomes)

    def evaluate(self, genomes: Tensor, seed: tuple[int, int]) -> Outcome:
        """The negative values."""
        fitness = -self.objective.values(self(genomes)).to(genomes.device)
        threshold = None if self.target is None else -self.target
        solver = first_solver(fitness, threshold)
        counted = len(genomes) if solver is None else solver + 1
        return Outcome(fitness, torch.ones(len(genomes), dtype=torch.int64), solver, counted)

    def test_step(self, batch: Tensor, batch_idx: int) -> None:
        value = float(self.objective.values(self.point[None])[0])
        values = {
            "test/value": value,
            "test/fitness": -value,
            "test/evaluations": float(self.used),
            "test/solved": float(self.solved),
        }
        self.log_dict(values, batch_size=1)

    def teardown(self, stage: str) -> None:
        """End processes that call the function."""
        self.objective.close()

    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """The curves of the search, if this module was trained, and the best point."""
        return {**self.search_plots(), "point": draw_point(self.point.tolist())}

    def produce(self, folder: Path | None) -> list[dict[str, Any]]:
        """The best point and its value."""
        value = float(self.objective.values(self.point[None])[0])
        self.objective.close()
        numbers = ", ".join(f"{each:.10g}" for each in self.point.tolist())
        return [{"value": value, "point": numbers, "evaluations": int(self.used)}]
