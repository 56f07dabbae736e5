"""Choose the first step size of SNES on the octopus arm, for each encoding, on seeds that no table
uses.

    python benchmarks/evolution_octopus_settings.py

Every step size of a grid runs 240 evaluations with seeds 1001 and 1002; the one of highest mean
best fitness is the recipe's.
"""

from __future__ import annotations

import torch

from zoo_evolution.encodings.base import Direct, Encoding
from zoo_evolution.encodings.dct import Dct
from zoo_evolution.policies.recurrent import FullyRecurrent
from zoo_evolution.search.snes import SNES
from zoo_evolution.tasks.octopus.reaching import OctopusArm

SEEDS = (1001, 1002)
STEPS = (0.1, 0.3, 1.0)
BUDGET, POPULATION = 240, 24


def best(encoding: Encoding, policy: FullyRecurrent, step_size: float, seed: int) -> float:
    """The best fitness within the budget."""
    task, start = OctopusArm(), torch.zeros(encoding.size)
    search = SNES(start, step_size=step_size, population=POPULATION, seed=seed)
    while search.evaluations < BUDGET:
        weights = encoding.decode(search.ask())
        search.tell(task.evaluate(policy, weights, (seed, search.generations)).fitness)
    return search.best_fitness


def main() -> None:
    """Print a row for each setting."""
    policy = FullyRecurrent(82, 32, 32, bias=True)
    encodings = {"dct 20": Dct(policy.shapes, 20), "direct": Direct(policy.size)}
    print("encoding  step size  mean    all")
    for name, encoding in encodings.items():
        for step_size in STEPS:
            with torch.inference_mode():
                found = [best(encoding, policy, step_size, seed) for seed in SEEDS]
            mean, rounded = sum(found) / len(found), [round(each, 3) for each in found]
            print(f"{name:8}  {step_size:9g}  {mean:.3f}  {rounded}", flush=True)


if __name__ == "__main__":
    main()
