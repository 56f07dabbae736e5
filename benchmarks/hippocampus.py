"""PyraMiD-LSTM against MONAI's UNet on the hippocampus: the same wall time, in one run.

    ZOO_DATA=DATA python benchmarks/hippocampus.py [--minutes 12] [--threads 1] [--at-once]

Each is trained by its recipe (segmentation/pyramid-lstm-hippocampus and monai-unet-hippocampus)
and tested on the last 40 volumes. Of each, two short trainings say how long an epoch takes;
from that follows how many epochs fit into the time, and the recipe's one-cycle schedule spans
them. With ``--at-once`` both train at the same time, so that what else runs on the machine slows
both; otherwise one after another. Printed is a table for benchmarks/results/segmentation.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import machine

RECIPES = ("segmentation/pyramid-lstm-hippocampus", "segmentation/monai-unet-hippocampus")
GOAL = 0.02


def train(recipe: str, epochs: int, out: Path, threads: int, *more: str) -> dict[str, Any]:
    """Train by ``zoo train`` in a process of its own; what the run says of itself."""
    command = [
        *(sys.executable, "-m", "zoo", "train", recipe, "--out", str(out)),
        *("--trainer.max_epochs", str(epochs), "--trainer.enable_progress_bar", "false", *more),
    ]
    # Intel's OpenMP and GNU's both read it; torch takes its threads from there.
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    run = json.loads((out / "environment.json").read_text())
    return {**run, "metrics": json.loads((out / "metrics.json").read_text())}


def seconds_an_epoch(recipe: str, folder: Path, threads: int) -> float:
    """From trainings of one and of four epochs: what starts and ends a training counts not."""
    name = recipe.rsplit("/", 1)[-1]
    few = "--trainer.limit_test_batches=1"
    one, four = (
        train(recipe, epochs, folder / f"{name}-{epochs}", threads, few)["fit_seconds"]
        for epochs in (1, 4)
    )
    return max((four - one) / 3, 1e-3)


def measure(recipe: str, minutes: float, folder: Path, threads: int) -> dict[str, Any]:
    pace = seconds_an_epoch(recipe, folder, threads)
    epochs = max(1, round(60 * minutes / pace))
    print(f"{recipe}: {pace:.1f} s an epoch, {epochs} epochs", file=sys.stderr, flush=True)
    run = train(recipe, epochs, folder / recipe.rsplit("/", 1)[-1], threads)
    return {"recipe": recipe, "epochs": epochs, "pace": pace, **run}


def table(runs: list[Mapping[str, Any]], volumes: int) -> list[str]:
    lines = [
        "| recipe | test/dice | anterior | posterior | epochs | volumes seen | training time |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        found = run["metrics"]
        parts = [found["test/dice"], *(found[f"test/dice/{p}"] for p in ("Anterior", "Posterior"))]
        shown = " | ".join(f"{part:.4f}" for part in parts)
        lines.append(
            f"| {run['recipe']} | {shown} | {run['epochs']} | {run['epochs'] * volumes:,} | "
            f"{run['fit_seconds']:.0f} s |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=12, help="wall time of each training")
    parser.add_argument("--threads", type=int, default=1, help="torch threads of each")
    parser.add_argument("--at-once", action="store_true", help="both at the same time")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="zoo-hippocampus-") as folder:
        one = partial(
            measure,
            minutes=arguments.minutes,
            folder=Path(folder),
            threads=arguments.threads,
        )
        with ThreadPoolExecutor(2 if arguments.at_once else 1) as pool:
            runs = list(pool.map(one, RECIPES))
    ours, theirs = (run["metrics"]["test/dice"] for run in runs)
    verdict = "reached" if ours >= theirs - GOAL else "not reached"
    print(
        f"- {machine.today()}, `{' '.join(['python', 'benchmarks/hippocampus.py', *sys.argv[1:]])}`"
    )
    print(f"- {machine.describe()}; {arguments.threads} thread(s) each\n")
    print("\n".join(table(runs, 160)))
    print(f"\n- PyraMiD-LSTM less UNet: {ours - theirs:+.4f}; asked: at least -{GOAL}, {verdict}.")


if __name__ == "__main__":
    main()
