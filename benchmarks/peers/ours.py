"""Environment steps that finished runs of udrl/cartpole needed, as rows.

    python benchmarks/peers/ours.py RUN...

The rule stands in README.md: the first validation whose mean return is high enough.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from table import add, done

from zoo.runs.run import Run

ASKED = 495.0
STEPS = "train/env_steps"


def reached(run: Run) -> tuple[int | None, float]:
    """Steps played until the first validation that is good enough, and its mean return.

    Args:
        run: A finished one.
    """
    played, value = 0, 0.0
    with run.metrics_csv.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            played = int(float(row[STEPS])) if row.get(STEPS) else played
            if not row.get("val/return"):
                continue
            value = float(row["val/return"])
            if value >= ASKED:
                return played, value
    return None, value


def main() -> None:
    """Add what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path)
    for path in parser.parse_args().runs:
        run = Run(path)
        if run.recipe.name != "udrl/cartpole":
            raise SystemExit(f"{path} is a run of {run.recipe.name}, not of udrl/cartpole")
        if not done("cartpole", "udrl", run.recipe.seed):
            add("cartpole", "udrl", run.recipe.seed, *reached(run), None)


if __name__ == "__main__":
    main()
