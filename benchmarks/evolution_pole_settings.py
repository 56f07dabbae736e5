"""Choose the settings of searches on the double pole, on seeds that no table uses.

    python benchmarks/evolution_pole_settings.py snes --inputs neat
    python benchmarks/evolution_pole_settings.py cosyne
    python benchmarks/evolution_pole_settings.py cosyne --fitness damping
    python benchmarks/evolution_pole_settings.py esp --inputs neat
    python benchmarks/evolution_pole_settings.py cosyne --inputs neat --grid tails

Every setting of a grid runs with seeds 1001 to 1020 (``tails``: 1001 to 1060, and longer, as a mean
is made by the seeds that take longest) until a net balances 1,000 steps or, with the
damping fitness, the best of a generation balances 200 of 625 other starts too. The recipe's setting
is that of the lowest mean (CoSyNE, ESP), or of the lowest median among those where no seed failed
(SNES), as is asked of them. The seeds of the records are 1 to 20. All seeds' nets are played at
once.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import torch
from machine import describe, today
from torch import Tensor

from zoo_evolution.methods import make_optimizer
from zoo_evolution.policies.base import Policy
from zoo_evolution.policies.recurrent import FullyRecurrent
from zoo_evolution.tasks.poles.balancing import TRIAL, PoleBalancing

RESULTS = Path(__file__).parent / "results"
SCALES: dict[str, dict[str, float]] = {
    "own": {},  # x / 2.4, angles / 0.628
    "neat": {"position_scale": 4.8, "angle_scale": 0.52},  # of NEAT's program
}
OPTIONS: dict[str, dict[str, list[Any]]] = {
    "snes": {"population": [5, 8], "step_size": [1.0, 2.0]},
    "cosyne": {"elites": [0, 1], "mutation_scale": [0.3, 1.0, 3.0]},
    "esp": {"mutation_scale": [0.3, 1.0, 3.0]},
}
TAILS: dict[str, dict[str, list[Any]]] = {
    "cosyne": {"elites": [1], "mutation_rate": [0.3, 0.6, 1.0], "mutation_scale": [1.0, 3.0]},
}
SEEDS = {"first": range(1001, 1021), "tails": range(1001, 1061)}
BUDGETS = {
    "first": {"snes": 600, "cosyne": 2500, "esp": 20_000},
    "tails": {"cosyne": 8000},
}
UNITS = {"snes": 1, "cosyne": 1, "esp": 3}


def settings(names: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """All of the grid."""
    for values in product(*names.values()):
        yield dict(zip(names, values, strict=True))


def evaluations(
    task: PoleBalancing, method: str, options: dict[str, Any], seeds: range, budget: int
) -> list[int]:
    """Of every seed, until the first success, or the budget."""
    policy = FullyRecurrent(3, 1, UNITS[method])
    start = torch.zeros(policy.size)
    running = {seed: make_optimizer(method, start, seed, options, policy.neurons) for seed in seeds}
    found = dict.fromkeys(seeds, budget)
    while running:
        asked = {seed: search.ask() for seed, search in running.items()}
        nets = torch.cat(list(asked.values()))
        steps, calm = task.balance(policy, nets, task.start(len(nets)), TRIAL)
        sizes = [len(each) for each in asked.values()]
        for seed, lasted, calmed in zip(asked, steps.split(sizes), calm.split(sizes), strict=True):
            count = solved(task, policy, asked[seed], lasted, calmed)
            if count:
                found[seed] = running.pop(seed).evaluations + count
                continue
            running[seed].tell(lasted.double() if task.fitness == "steps" else calmed)
            if running[seed].evaluations >= budget:
                del running[seed]
    return sorted(found.values())


def solved(task: PoleBalancing, policy: Policy, nets: Tensor, steps: Tensor, calm: Tensor) -> int:
    """Evaluations of this generation up to a success; 0 without one."""
    if task.fitness == "steps":
        lasting = torch.nonzero(steps == TRIAL)[:, 0].tolist()
        return lasting[0] + 1 if lasting else 0
    best = int(calm.argmax())
    lasts = int(steps[best]) == TRIAL
    return len(nets) if lasts and task.generalizes(policy, nets[best]) else 0


def main() -> None:
    """Print a row for each setting, and write them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("method", choices=OPTIONS)
    parser.add_argument("--fitness", default="steps", choices=["steps", "damping"])
    parser.add_argument("--inputs", nargs="*", choices=SCALES, help="all if not given")
    parser.add_argument("--grid", default="first", choices=SEEDS)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    method, fitness = chosen.method, chosen.fitness
    grid = (TAILS if chosen.grid == "tails" else OPTIONS)[method]
    seeds, budget = SEEDS[chosen.grid], BUDGETS[chosen.grid][method]
    more = " --fitness damping" if fitness == "damping" else ""
    more += f" --inputs {' '.join(chosen.inputs)}" if chosen.inputs else ""
    more += f" --grid {chosen.grid}" if chosen.grid != "first" else ""
    lines = [
        f"# Settings of {method} on the double pole, fitness {fitness}",
        "",
        f"`python benchmarks/evolution_pole_settings.py {method}{more}`, {today()}, {describe()}. "
        f"Evaluations, seeds {seeds[0]} to {seeds[-1]}, at most {budget}.",
        "",
        "| inputs | options | mean | median | quartiles | failed |",
        "|---|---|---|---|---|---|",
    ]
    for name in chosen.inputs or SCALES:
        task = PoleBalancing(fitness=fitness, long_run=TRIAL, **SCALES[name])  # type: ignore[arg-type]
        for options in settings(grid):
            with torch.inference_mode():
                found = evaluations(task, method, options, seeds, budget)
            low, median, high = statistics.quantiles(found, n=4)
            failed = sum(each == budget for each in found)
            shown = ", ".join(f"{key} {value}" for key, value in options.items())
            lines.append(
                f"| {name} | {shown} | {statistics.fmean(found):.0f} | {median:g} | "
                f"{low:g} to {high:g} | {failed} |"
            )
            print(lines[-1], flush=True)
    kind = f"{method}-{fitness}{'-tails' if chosen.grid == 'tails' else ''}"
    path = RESULTS / f"evolution-pole-settings-{kind}.md"
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
