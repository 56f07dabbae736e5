"""CMA-ES of pycma on the double pole without velocities, beside the searches of the recipes.

    pip install cma==4.5.0
    python benchmarks/evolution_pole_pycma.py

The task, the net of one unit and the count of evaluations are those of evolution/double-pole-snes,
for both fitnesses; pycma begins at zero with a step size of 1 and has its own settings otherwise.
A search that pycma ends begins again with the same evaluations counted. Seeds 1 to 20.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import cma
import torch
from machine import describe, today

from zoo_evolution.policies.recurrent import FullyRecurrent
from zoo_evolution.tasks.poles.balancing import PoleBalancing

TABLE = Path(__file__).parent / "results/evolution-pole-pycma.md"
SEEDS, BUDGET = range(1, 21), 40_000
POLICY = FullyRecurrent(3, 1, 1)


def evaluations(task: PoleBalancing, seed: int) -> int:
    """Until the task is solved, or the budget."""
    used, restarts = 0, 0
    while used < BUDGET:
        options = {"seed": seed + 1000 * restarts, "verbose": -9, "maxfevals": BUDGET - used}
        search = cma.CMAEvolutionStrategy([0.0] * POLICY.size, 1.0, options)
        while not search.stop():
            asked = search.ask()
            nets = torch.as_tensor([list(each) for each in asked], dtype=torch.float64)
            outcome = task.evaluate(POLICY, nets, (seed, used))
            used += outcome.counted
            if outcome.solver is not None:
                return used
            search.tell(asked, [-value for value in outcome.fitness.tolist()])
        restarts += 1
    return BUDGET


def main() -> None:
    """Print a row for each fitness, and write them."""
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    torch.set_num_threads(1)
    lines = [
        "# CMA-ES of pycma on the double pole without velocities",
        "",
        f"`python benchmarks/evolution_pole_pycma.py`, pycma {cma.__version__}, {today()}, "
        f"{describe()}. Evaluations, seeds {SEEDS[0]} to {SEEDS[-1]}, at most {BUDGET}.",
        "",
        "| fitness | mean | median | range | solved |",
        "|---|---|---|---|---|",
    ]
    for fitness in ("steps", "damping"):
        task = PoleBalancing(fitness=fitness, position_scale=4.8, angle_scale=0.52)
        with torch.no_grad():
            found = [evaluations(task, seed) for seed in SEEDS]
        solved = sum(each < BUDGET for each in found)
        lines.append(
            f"| {fitness} | {statistics.fmean(found):.0f} | {statistics.median(found):g} | "
            f"{min(found)} to {max(found)} | {solved} of {len(found)} |"
        )
        print(lines[-1], found, flush=True)
        TABLE.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
