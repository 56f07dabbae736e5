"""The label error of each speaker of the spoken digits whom the net has never heard.

    ZOO_DATA=DATA python benchmarks/sequence_speakers.py --seeds 1-3 --rows FILE.csv

Trains a recipe once a speaker and seed, each time without that speaker, who is the test. Rows that
the file has are not measured again. Prints a table; the goal is that of the recipe, for the mean of
all.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from rows import add_row, read_rows

import zoo
from zoo.runs.seed_list import read_seeds

RECIPE = "sequence/spoken-digits-speakers"
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo")
METRICS = ("label_error", "string_error")
FIELDS = ("recipe", "speaker", "seed", *METRICS, "seconds")


def measured(recipe: str, speaker: str, seed: int) -> dict[str, object]:
    """A row: a net that has not heard one speaker."""
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        changes = {"seed": seed, "data.split": f"speaker:{speaker}"}
        metrics = zoo.train(recipe, changes, out=Path(folder) / "run").metrics
    figures = {name: round(metrics[f"test/{name}"], 4) for name in METRICS}
    seconds = round(time.process_time() - began, 1)
    return {"recipe": recipe, "speaker": speaker, "seed": seed, **figures, "seconds": seconds}


def table(rows: list[dict[str, str]]) -> str:
    """A line a speaker, and the mean of all: means over the seeds, and each seed."""
    lines = ["| never heard | label error | each seed |", "|---|---|---|"]
    for speaker in sorted({row["speaker"] for row in rows}):
        found = [float(row["label_error"]) for row in rows if row["speaker"] == speaker]
        each = ", ".join(f"{value:.3f}" for value in found)
        lines.append(f"| {speaker} | {statistics.fmean(found):.3f} | {each} |")
    mean = statistics.fmean(float(row["label_error"]) for row in rows)
    return "\n".join([*lines, f"| **mean** | **{mean:.3f}** | |"])


def main() -> None:
    """Measure what the file does not have, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recipe", nargs="?", default=RECIPE, help=f"a name (default: {RECIPE})")
    parser.add_argument("--seeds", default="1-3", help="such as 1-3")
    parser.add_argument("--speakers", nargs="+", default=SPEAKERS)
    parser.add_argument("--rows", type=Path, required=True, help="file of the rows, gone on with")
    options = parser.parse_args()
    for seed in read_seeds(options.seeds):
        for speaker in options.speakers:
            known = {
                (row["recipe"], row["speaker"], row["seed"]) for row in read_rows(options.rows)
            }
            if (options.recipe, speaker, str(seed)) not in known:
                row = measured(options.recipe, speaker, seed)
                add_row(options.rows, FIELDS, row)
                print(row, file=sys.stderr, flush=True)
    print(table([row for row in read_rows(options.rows) if row["recipe"] == options.recipe]))


if __name__ == "__main__":
    main()
