"""Run recipes of the evolution plugin by many seeds in one process, and record what came out.

    python benchmarks/evolution_searches.py evolution/double-pole-cosyne --seeds 1-20

The searches are those that `zoo train` runs, generation by generation, without the seconds that
starting a process and a Trainer take. A record goes beside the recipes, with every seed.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import statistics
import sys
import time
from typing import Any

import torch

from zoo.recipes.recipe import Recipe, read_recipe
from zoo.recipes.records import Record, add_record
from zoo.registry.registry import registry


def searched(recipe: Recipe, seed: int) -> dict[str, float]:
    """The test metrics of a search by one seed."""
    known = registry()
    data = known.load(known.datasets[recipe.data_name])(**recipe.data, seed=seed)
    model = known.load(known.models[recipe.model_name])(**data.facts, **recipe.model)
    budget, used, search = recipe.budget["evaluations"], 0, model.make_search(seed)
    solved = False
    while used < budget and not solved:
        candidates = search.ask()
        outcome = model.evaluate(candidates, (seed, search.generations))
        used += outcome.counted
        solved = outcome.solver is not None
        if solved:
            model.champion.copy_(candidates[outcome.solver])
        else:
            search.tell(outcome.fitness)
            model.champion.copy_(search.best if model.keep == "best" else search.center)
    figures: dict[str, float] = {"evaluations": used, "solved": float(solved)}
    if hasattr(model, "task"):
        figures |= model.task.test(model.policy, model.weights, 0)
    return figures


def main() -> int:
    """Search, print, record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recipe", help="a name")
    parser.add_argument("--seeds", default="1-20", help="such as 1-20")
    parser.add_argument("--note", default="", help="what a reader has to know to compare")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    recipe = read_recipe(options.recipe)
    target: dict[str, Any] = dict(recipe.about["target"])
    name = target["metric"].partition("/")[2]
    values, seconds, solved = {}, {}, 0
    for seed in range(int(first), int(last or first) + 1):
        began = time.process_time()
        with torch.no_grad():
            figures = searched(recipe, seed)
        values[str(seed)] = round(figures[name], 6)
        seconds[str(seed)] = round(time.process_time() - began, 1)
        solved += int(figures["solved"])
        print(seed, figures, seconds[str(seed)], flush=True)
    found = list(values.values())
    summary = f"median {statistics.median(found):g}, mean {statistics.fmean(found):g}"
    print(f"{options.recipe}: {name} {summary}, {solved} of {len(found)} solved")
    command = f"python benchmarks/evolution_searches.py {options.recipe} --seeds {options.seeds}"
    add_record(
        registry().recipes[options.recipe].parent,
        Record(
            recipe=options.recipe,
            metric=target["metric"],
            values=values,
            date=datetime.date.today().isoformat(),
            command=command,
            hardware=f"{platform.processor() or platform.machine()}, 2 cores, shared",
            target=target,
            source=str(recipe.about["source"]),
            seconds=seconds,
            threads=torch.get_num_threads(),
            versions={"python": platform.python_version(), "torch": torch.__version__},
            commit=None,
            note="; ".join(
                filter(None, [f"{summary}; {solved} of {len(found)} solved", options.note])
            ),
        ),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
