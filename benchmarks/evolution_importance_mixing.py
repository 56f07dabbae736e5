"""eNES with and without importance mixing: new evaluations until a function is as small.

    python benchmarks/evolution_importance_mixing.py

writes results/evolution-importance-mixing.md. Five functions in ten dimensions, each from its usual
start with step size 1, until 1e-8. Both ways have the default population and learning rates. Only
samples that are new are evaluated and counted.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import torch
from machine import describe, today

from zoo_evolution.objectives.functions import FUNCTIONS
from zoo_evolution.optimizers import ENES

RESULTS = Path(__file__).parent / "results" / "evolution-importance-mixing.md"
PROBLEMS = ("sphere", "ellipsoid", "rotated-ellipsoid", "tablet", "rosenbrock")
DIMENSION = 10
GOAL, BUDGET = 1e-8, 60_000


def evaluations(name: str, mixing: bool, seed: int) -> int:
    """Until the best value is at the goal, or the budget."""
    function, start = FUNCTIONS[name]
    first = torch.full((DIMENSION,), start, dtype=torch.float64)
    search = ENES(first, seed=seed, importance_mixing=mixing)
    while search.evaluations < BUDGET:
        asked = search.ask()
        values = function(asked)
        reached = torch.nonzero(values <= GOAL)
        if len(reached):
            return search.evaluations + int(reached[0]) + 1
        search.tell(-values)
    return BUDGET


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=20)
    count = parser.parse_args().seeds
    torch.set_num_threads(1)
    lines = [
        "# Importance mixing of eNES",
        "",
        f"`python benchmarks/evolution_importance_mixing.py --seeds {count}`, {today()}, "
        f"{describe()}. New evaluations until {GOAL:g}, seeds 1 to {count}, at most {BUDGET:,}; "
        "asked: fewer with importance mixing.",
        "",
        "| function | with, median (range) | without, median (range) | with / without |",
        "|---|---|---|---|",
    ]
    for name in PROBLEMS:
        cells, medians = [], []
        for mixing in (True, False):
            found = [evaluations(name, mixing, seed) for seed in range(1, count + 1)]
            medians.append(statistics.median(found))
            cells.append(f"{medians[-1]:,.0f} ({min(found):,} to {max(found):,})")
        share = medians[0] / medians[1]
        lines.append(f"| {name} | {' | '.join(cells)} | {share:.2f} |")
        print(lines[-1], flush=True)
    RESULTS.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
