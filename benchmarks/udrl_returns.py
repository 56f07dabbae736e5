"""The returns of runs of one recipe, seed by seed, and their learning curves.

    python benchmarks/udrl_returns.py RECIPE RUN [RUN ...] --plot docs/pictures/NAME.png

Prints a table for benchmarks/results/udrl-returns.md, with the mean of the last LAST validations
beside that of the tested agent, as a single validation is noisy. Draws the validation's returns
over environment steps: mean over seeds with a 95 % bootstrap interval, the recipe's target beside.
A run that was cut has no test yet.
"""

from __future__ import annotations

import argparse
import csv
import statistics
from collections.abc import Mapping
from pathlib import Path

from zoo import plots
from zoo.recipes.recipe import read_recipe
from zoo.runs.run import Run, open_run
from zoo_rl.plots import learning_curve
from zoo_rl.statistics import bootstrap_interval

LAST = 10


def validations(run: Run) -> list[dict[str, float]]:
    """The rows of the log that hold a validation."""
    with run.metrics_csv.open(newline="") as file:
        return [
            {name: float(value) for name, value in row.items() if value}
            for row in csv.DictReader(file)
            if row.get("val/return") and row.get("train/env_steps")
        ]


def shown(metrics: Mapping[str, float], stage: str) -> str:
    """A mean return with its interval; a dash where there is none."""
    if f"{stage}/return" not in metrics:
        return "-"
    mean, low, high = (metrics[f"{stage}/return{end}"] for end in ("", "/low", "/high"))
    return f"{mean:.1f} ({low:.1f} to {high:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("recipe")
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--plot", type=Path, required=True)
    arguments = parser.parse_args()
    runs = [open_run(path) for path in arguments.runs]
    value = read_recipe(arguments.recipe).about["target"]["value"]
    head = ("seed", "environment steps", "last validation", f"mean of the last {LAST}")
    print("| " + " | ".join([*head, "`test/return`", "minutes"]) + " |")
    print("|---" * 6 + "|")
    curves, tested, ends = [], [], []
    for run in runs:
        rows = validations(run)
        curves.append([(row["train/env_steps"], row["val/return"]) for row in rows])
        metrics = run.metrics if run.finished else {}
        tested += [metrics["test/return"]] if run.finished else []
        ends.append(statistics.mean(row["val/return"] for row in rows[-LAST:]))
        steps = rows[-1]["train/env_steps"]
        print(
            f"| {run.recipe.seed} | {steps:,.0f} | {shown(rows[-1], 'val')} | {ends[-1]:.1f} "
            f"| {shown(metrics, 'test')} | {run.environment['fit_seconds'] / 60:.1f} |"
        )
    if len(tested) == len(runs):
        means = []
        for values in (ends, tested):
            low, high = bootstrap_interval(values)
            means.append(f"{statistics.mean(values):.1f} ({low:.1f} to {high:.1f})")
        print(f"| mean of {len(runs)} | | | {means[0]} | {means[1]} | |")
    figure = learning_curve(
        {arguments.recipe: curves},
        {f"target: {value:g}": value},
        ylabel="return of 100 validation episodes",
    )
    plots.save(figure, arguments.plot)


if __name__ == "__main__":
    main()
