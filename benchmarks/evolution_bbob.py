"""BBOB, noiseless, in 5 and 10 dimensions: ours beside pycma and evotorch.

    pip install -r benchmarks/peers/bbob-requirements.txt      # the problems of COCO, and pycma
    python benchmarks/evolution_bbob.py --peer evolution-peers/bin/python

writes results/evolution-bbob.md and results/evolution-bbob.png; without ``--peer``, evotorch is
left out. The 24 functions, instance 1, are searched once by each; peers/bbob.py says how. A target
is f_opt + 10^k for k from 2 to -8 in fifths, and counts where COCO's own log has it; what is shown
is the share of all targets of all functions that is hit within a number of evaluations (ECDF).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe, today
from matplotlib.figure import Figure

from zoo_evolution.optimizers import ENES, SNES, XNES, RandomSearch
from zoo_evolution.search.base import Optimizer

HERE = Path(__file__).parent
sys.path.append(str(HERE / "peers"))

from bbob import SMALLEST, STEP, Pycma, run  # noqa: E402  (beside the other peers)

DIMENSIONS = (5, 10)
TARGETS = 10 ** np.linspace(2, -8, 51)


class Ours:
    """An optimizer of ours for the loop of ``bbob.run``."""

    def __init__(self, search: Optimizer) -> None:
        self.search = search

    def ask(self) -> np.ndarray:
        """Points (n, d)."""
        return self.search.ask().numpy()

    def tell(self, values: np.ndarray) -> bool:
        """Whether to go on."""
        self.search.tell(-torch.from_numpy(values))
        return self.search.spread > SMALLEST


def ours(cls: Callable[..., Optimizer], **options: Any) -> Callable[[np.ndarray, int], Ours]:
    """From a start and a seed to a search."""
    return lambda start, seed: Ours(cls(torch.from_numpy(start), seed=seed, **options))


ALGORITHMS: dict[str, Callable[[np.ndarray, int], Any]] = {
    "xNES": ours(XNES, step_size=STEP),
    "SNES": ours(SNES, step_size=STEP),
    "eNES": ours(ENES, step_size=STEP),
    "random search": ours(RandomSearch, spread=5.0, population=10),
    "pycma": Pycma,
}
PEERS = {"evotorch XNES": "evotorch-xnes", "evotorch SNES": "evotorch-snes"}


def hits(folder: Path, dimension: int) -> np.ndarray:
    """Evaluations over the dimension until each target of each function, inf where it was not hit:
    (functions * targets,)."""
    found = []
    for path in sorted(folder.rglob(f"*_DIM{dimension}.dat")):
        rows = [line.split()[:3] for line in path.read_text(encoding="utf-8").splitlines()]
        log = np.array([row for row in rows if row and row[0] != "%"], dtype=float)
        for target in TARGETS:
            reached = log[log[:, 2] <= target, 0]
            found.append(reached.min() / dimension if len(reached) else np.inf)
    return np.array(found)


def draw(found: dict[str, dict[int, np.ndarray]], budget: int) -> None:
    """A curve for each algorithm, a panel for each dimension."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, len(DIMENSIONS), sharey=True)
    places = np.geomspace(1, budget, 200)
    for panel, dimension in zip(panels, DIMENSIONS, strict=True):
        for name, by_dimension in found.items():
            share = [(by_dimension[dimension] <= place).mean() for place in places]
            panel.plot(places, share, label=name, linestyle="--" if name in PEERS else "-")
        panel.set(xscale="log", xlabel="evaluations / dimension", title=f"{dimension} dimensions")
    panels[0].set_ylabel("share of targets")
    panels[0].legend(fontsize="small")
    figure.savefig(HERE / "results" / "evolution-bbob.png", dpi=90)


def main() -> None:
    """Run all, write the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer", help="the Python of an environment that has evotorch")
    parser.add_argument("--budget", type=int, default=1000, help="evaluations over the dimension")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, dict[int, np.ndarray]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, make in ALGORITHMS.items():
            run(make, f"{folder}/{name.replace(' ', '-')}", list(DIMENSIONS), options.budget)
        for name, known in PEERS.items() if options.peer else ():
            program = [options.peer, str(HERE / "peers" / "bbob.py"), known]
            more = [f"{folder}/{name.replace(' ', '-')}", "--budget", str(options.budget)]
            subprocess.run([*program, *more], check=True, stdout=subprocess.DEVNULL)
        for name in (*ALGORITHMS, *(PEERS if options.peer else ())):
            place = Path(folder, name.replace(" ", "-"))
            found[name] = {dimension: hits(place, dimension) for dimension in DIMENSIONS}
    draw(found, options.budget)
    budgets = [each for each in (10, 100, 300, 1000, 10_000) if each <= options.budget]
    command = "python benchmarks/evolution_bbob.py" + (
        f" --budget {options.budget}" if options.budget != 1000 else ""
    )
    command += " --peer evolution-peers/bin/python" if options.peer else ""
    columns = [f"{dimension}-D, {each}d" for dimension in DIMENSIONS for each in budgets]
    lines = [
        "# BBOB, noiseless",
        "",
        f"`{command}`, {today()}, {describe()}. Share of 51 targets from 1e2 to 1e-8 of 24 "
        f"functions, instance 1, hit within so many evaluations (d is the dimension), without "
        f"restarts, at most {options.budget:,} d. The curves: evolution-bbob.png.",
        "",
        f"| algorithm | {' | '.join(columns)} |",
        f"|---{'|---' * len(columns)}|",
    ]
    for name, by_dimension in found.items():
        cells = [
            f"{(by_dimension[dimension] <= each).mean():.2f}"
            for dimension in DIMENSIONS
            for each in budgets
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    (HERE / "results" / "evolution-bbob.md").write_text("\n".join([*lines, ""]), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
