"""What the temperature of dreams does to a controller: its return in dreams and in reality.

    python benchmarks/worldmodels_temperatures.py worldmodels/cartpole-in-dreams --seeds 1-3 \\
        --change model.max_steps=500 --rows FILE.csv

At each temperature a controller is evolved and tested as the recipe says, in a world model that is
trained already. Dreams are to be as long as real episodes may be, or their returns are not of one
scale. To be seen, by the table of 2018: dreams minus reality falls from the lowest temperature to
the highest. Rows that the file has are not measured again. Prints a table, with the paper's beside.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import yaml
from rows import add_row, read_rows

import zoo
from zoo.runs.seed_list import read_seeds

TEMPERATURES = (0.1, 0.5, 1.0, 1.15, 1.3)
TAKE_COVER = {
    0.1: (2086, 193),
    0.5: (2060, 196),
    1.0: (1145, 868),
    1.15: (918, 1092),
    1.3: (732, 753),
}
"""Dream and reality in Ha, Schmidhuber: World Models, arXiv:1803.10122, table 2 (second-hand)."""
FIELDS = ("recipe", "changes", "temperature", "seed", "dream", "real", "standard_error", "seconds")


def measured(recipe: str, changes: list[str], temperature: float, seed: int) -> dict[str, object]:
    """A row: a controller that was evolved at a temperature."""
    values = {key: yaml.safe_load(value) for key, _, value in (c.partition("=") for c in changes)}
    overrides = {**values, "seed": seed, "model.temperature": temperature}
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        metrics = zoo.train(recipe, overrides, out=Path(folder) / "run").metrics
    return {
        "recipe": recipe,
        "changes": " ".join(changes),
        "temperature": temperature,
        "seed": seed,
        "dream": round(metrics["test/dream_return"], 3),
        "real": round(metrics["test/return"], 3),
        "standard_error": round(metrics["test/return/standard_error"], 3),
        "seconds": round(time.process_time() - began, 1),
    }


def table(rows: list[dict[str, str]]) -> str:
    """Means over seeds, a line a temperature, and every seed in brackets."""
    lines = [
        "| temperature | dream | real | dream - real | paper: dream | real | dream - real |",
        "|---|---|---|---|---|---|---|",
    ]
    for heat in sorted({float(row["temperature"]) for row in rows}):
        found = [row for row in rows if float(row["temperature"]) == heat]
        dream, real = ([float(row[name]) for row in found] for name in ("dream", "real"))
        gaps = [a - b for a, b in zip(dream, real, strict=True)]
        theirs = TAKE_COVER.get(heat)
        beside = (
            [f"{theirs[0]}", f"{theirs[1]}", f"{theirs[0] - theirs[1]}"] if theirs else ["-"] * 3
        )
        cells = [f"{heat:g}", *map(_shown, (dream, real, gaps)), *beside]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _shown(values: list[float]) -> str:
    each = ", ".join(f"{value:.0f}" for value in values)
    return f"{statistics.fmean(values):.1f} ({each})"


def main() -> None:
    """Measure what the file does not have, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recipe", help="of a dream-controller")
    parser.add_argument("--seeds", default="1-3", help="such as 1-3")
    parser.add_argument("--temperatures", type=float, nargs="+", default=TEMPERATURES)
    parser.add_argument(
        "--change", nargs="+", default=[], help="dotted keys of the recipe, KEY=VALUE"
    )
    parser.add_argument(
        "--rows", type=Path, required=True, help="the file of the rows, gone on with"
    )
    options = parser.parse_args()
    for temperature in options.temperatures:
        for seed in read_seeds(options.seeds):
            asked = (options.recipe, " ".join(options.change), temperature, seed)
            known = {
                (row["recipe"], row["changes"], float(row["temperature"]), int(row["seed"]))
                for row in read_rows(options.rows)
            }
            if asked not in known:
                row = measured(options.recipe, options.change, temperature, seed)
                add_row(options.rows, FIELDS, row)
                print(row, file=sys.stderr, flush=True)
    rows = [
        row
        for row in read_rows(options.rows)
        if (row["recipe"], row["changes"]) == (options.recipe, " ".join(options.change))
    ]
    print(table(rows))


if __name__ == "__main__":
    main()
