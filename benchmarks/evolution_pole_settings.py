"""Choose population and first step size of SNES on the double pole, on seeds that no table uses.

    python benchmarks/evolution_pole_settings.py

Every setting of a grid runs with seeds 1001 to 1020 until a net balances 1,000 steps; the one of
lowest median is the recipe's. The seeds of the record are 1 to 20.
"""

from __future__ import annotations

import statistics

import torch

from zoo_evolution.policies.recurrent import FullyRecurrent
from zoo_evolution.search.snes import SNES
from zoo_evolution.tasks.poles.balancing import TRIAL, PoleBalancing

SEEDS = range(1001, 1021)
POPULATIONS = (5, 8)
STEPS = (0.5, 1.0, 2.0)
BUDGET = 1500


def evaluations(seed: int, population: int, step_size: float) -> int:
    """Until the first success, or the budget."""
    task, policy = PoleBalancing(long_run=TRIAL), FullyRecurrent(3, 1, 1)
    start = torch.zeros(policy.size)
    search = SNES(start, step_size=step_size, population=population, seed=seed)
    while search.evaluations < BUDGET:
        outcome = task.evaluate(policy, search.ask(), (seed, search.generations))
        if outcome.solver is not None:
            return search.evaluations + outcome.counted
        search.tell(outcome.fitness)
    return BUDGET


def main() -> None:
    """Print a row for each setting."""
    print("population  step size  median  quartiles  failed  all")
    for population in POPULATIONS:
        for step_size in STEPS:
            with torch.inference_mode():
                found = sorted(evaluations(seed, population, step_size) for seed in SEEDS)
            low, median, high = statistics.quantiles(found, n=4)
            failed = sum(each == BUDGET for each in found)
            print(
                f"{population:10}  {step_size:9g}  {median:6g}  {low:g}-{high:g}  {failed:6}  "
                f"{found}",
                flush=True,
            )


if __name__ == "__main__":
    main()
