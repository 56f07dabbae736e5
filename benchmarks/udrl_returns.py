"""The returns of finished runs of one recipe, seed by seed, and their learning curves.

    python benchmarks/udrl_returns.py RECIPE RUN [RUN ...] --picture docs/pictures/NAME.png

Prints a table for benchmarks/results/udrl-returns.md and draws the validation's returns over
environment steps: mean over seeds with a 95 % bootstrap interval, the recipe's figure beside.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from zoo import figures
from zoo.recipes import read_recipe
from zoo.runs import Run, open_run
from zoo_rl.figures import learning_curve
from zoo_rl.statistics import bootstrap_interval


def curve(run: Run) -> list[tuple[float, float]]:
    """Validation returns by the environment steps before them."""
    with run.metrics_log.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("val/return")]
    return [(float(row["train/env_steps"]), float(row["val/return"])) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("recipe")
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--picture", type=Path, required=True)
    arguments = parser.parse_args()
    runs = [open_run(path) for path in arguments.runs]
    about = read_recipe(arguments.recipe).about
    print("| seed | `test/return` (95 % interval) | environment steps | minutes |")
    print("|---|---|---|---|")
    for run in runs:
        found = run.metrics
        low, high = found["test/return/low"], found["test/return/high"]
        print(
            f"| {run.recipe.seed} | {found['test/return']:.1f} ({low:.1f} to {high:.1f}) "
            f"| {found['train/env_steps']:,.0f} | {run.environment['fit_seconds'] / 60:.1f} |"
        )
    means = np.array([run.metrics["test/return"] for run in runs])
    low, high = bootstrap_interval(means)
    print(f"| mean of {len(runs)} | {means.mean():.1f} ({low:.1f} to {high:.1f}) | | |")
    value = about["figure"]["value"]
    figure = learning_curve(
        {arguments.recipe: [curve(run) for run in runs]},
        {f"to reach: {value:g}": value},
        ylabel="return of 100 validation episodes",
    )
    figures.save(figure, arguments.picture)


if __name__ == "__main__":
    main()
