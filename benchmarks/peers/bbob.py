"""A search on the functions of BBOB, noiseless (COCO), whose log is COCO's own.

    python benchmarks/peers/bbob.py pycma FOLDER --dimensions 5 10 --budget 500

Algorithms of this program: pycma's CMA-ES and evotorch's SNES and XNES, in an environment of their
own (README.md); ``evolution_bbob.py`` has ours, by the same loop. Every search begins at a point
drawn evenly from [-4, 4]^d with step size 2, has no restarts, and ends at the target 1e-8, after
the budget or when its steps are below 1e-12.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from typing import Any, Protocol

import cocoex
import numpy as np

STEP, SMALLEST = 2.0, 1e-12


class Search(Protocol):
    """Asks and is told."""

    def ask(self) -> np.ndarray:
        """Points (n, d)."""

    def tell(self, values: np.ndarray) -> bool:
        """Values (n,), which are to be small; whether to go on."""


class Pycma:
    """CMA-ES as pycma sets it."""

    def __init__(self, start: np.ndarray, seed: int) -> None:
        import cma

        options = {"seed": seed, "verbose": -9, "verb_log": 0, "tolx": SMALLEST}
        self.search = cma.CMAEvolutionStrategy(start, STEP, options)
        self.asked: list[np.ndarray] = []

    def ask(self) -> np.ndarray:
        self.asked = self.search.ask()
        return np.asarray(self.asked)

    def tell(self, values: np.ndarray) -> bool:
        self.search.tell(self.asked, values.tolist())
        return not self.search.stop()


class Evotorch:
    """A search of evotorch: its step evaluates, so that ask and tell are not its own."""

    def __init__(self, name: str, start: np.ndarray, seed: int) -> None:
        import torch
        from evotorch import Problem, algorithms

        torch.set_num_threads(1)
        logging.getLogger("evotorch.core").setLevel(logging.WARNING)
        self.values: Callable[[np.ndarray], np.ndarray] | None = None

        def scored(points: Any) -> Any:
            assert self.values is not None
            return torch.from_numpy(self.values(points.numpy()))

        problem = Problem(
            "min",
            scored,
            solution_length=len(start),
            initial_bounds=(-4, 4),
            dtype=torch.float64,
            vectorized=True,
            seed=seed,
        )
        made: Any = getattr(algorithms, name)
        first = torch.from_numpy(start)
        self.search = made(problem, stdev_init=STEP, center_init=first)

    def step(self) -> bool:
        """A generation; whether to go on."""
        self.search.step()
        return float(self.search.status["stdev"].abs().max()) > SMALLEST


PEERS: dict[str, Callable[[np.ndarray, int], Any]] = {
    "pycma": Pycma,
    "evotorch-snes": lambda start, seed: Evotorch("SNES", start, seed),
    "evotorch-xnes": lambda start, seed: Evotorch("XNES", start, seed),
}


def run(
    make: Callable[[np.ndarray, int], Any], folder: str, dimensions: list[int], budget: int
) -> None:
    """Search every problem once.

    Args:
        make: From a start (d,) and a seed to a search.
        folder: Where COCO's log goes.
        dimensions: Of the problems.
        budget: Evaluations, times the dimension.
    """
    chosen = f"dimensions:{','.join(map(str, dimensions))} instance_indices:1"
    suite = cocoex.Suite("bbob", "", chosen)
    observer = cocoex.Observer("bbob", f"outer_folder:{folder} result_folder:log")
    for number, problem in enumerate(suite):
        problem.observe_with(observer)
        drawn = np.random.default_rng(number).uniform(-4, 4, problem.dimension)
        searched(problem, make(drawn, number + 1), budget * problem.dimension)
        problem.free()


def searched(problem: Any, search: Any, budget: int) -> None:
    """Until the target, the budget or the end of the search."""

    def values(points: np.ndarray) -> np.ndarray:
        return np.array([problem(point) for point in points])

    def spent() -> bool:
        return bool(problem.final_target_hit) or problem.evaluations >= budget

    if hasattr(search, "step"):
        search.values = values
        while not spent() and search.step():
            pass
        return
    while not spent() and search.tell(values(search.ask())):
        pass


def main() -> int:
    """Run one of ``PEERS``."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("algorithm", choices=PEERS)
    parser.add_argument("folder")
    parser.add_argument("--dimensions", nargs="+", type=int, default=[5, 10])
    parser.add_argument("--budget", type=int, default=500)
    options = parser.parse_args()
    run(PEERS[options.algorithm], options.folder, options.dimensions, options.budget)
    return 0


if __name__ == "__main__":
    sys.exit(main())
