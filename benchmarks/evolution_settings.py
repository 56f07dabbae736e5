"""Choose an option of a recipe's optimizer, on seeds that no table uses.

    python benchmarks/evolution_settings.py evolution/rosenbrock-xnes step_size 1.0 0.5 0.3

Every value runs by seeds 1001 to 1020 within the recipe's budget; the recipe's is the one of the
lowest median of evaluations among those by which every seed was done.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import torch
from evolution_searches import searched
from machine import describe, today

from zoo.recipes.recipe import read_recipe

RESULTS = Path(__file__).parent / "results"
SEEDS = range(1001, 1021)


def main() -> None:
    """Print a row for each value, and write them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recipe", help="a name")
    parser.add_argument("option", help="of the optimizer")
    parser.add_argument("values", nargs="+", help="of the option")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    command = " ".join([chosen.recipe, chosen.option, *chosen.values])
    lines = [
        f"# {chosen.option} of {chosen.recipe}",
        "",
        f"`python benchmarks/evolution_settings.py {command}`, {today()}, {describe()}. "
        f"Evaluations, seeds {SEEDS[0]} to {SEEDS[-1]}.",
        "",
        f"| {chosen.option} | median | mean | range | done |",
        "|---|---|---|---|---|",
    ]
    for value in chosen.values:
        recipe = read_recipe(chosen.recipe)
        recipe.model["options"] = {**recipe.model["options"], chosen.option: float(value)}
        with torch.no_grad():
            figures = [searched(recipe, seed) for seed in SEEDS]
        found = [int(each["evaluations"]) for each in figures]
        lines.append(
            f"| {value} | {statistics.median(found):g} | {statistics.fmean(found):.0f} | "
            f"{min(found)} to {max(found)} | {sum(int(each['solved']) for each in figures)} |"
        )
        print(lines[-1], flush=True)
    name = f"evolution-settings-{chosen.recipe.rpartition('/')[2]}-{chosen.option}.md"
    (RESULTS / name).write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
