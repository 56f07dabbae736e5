"""Five folds of MONAI's UNet on the hippocampus: the ensemble against its folds on the test part.

    ZOO_DATA=DATA python benchmarks/crossval.py [--epochs 4] [--folds 5] [--out FOLDER]

Trains segmentation/monai-unet-hippocampus by ``zoo crossval`` for a few epochs, then tests the
folds together by ``zoo test FOLDER``, with and without mirrored volumes (``--tta``). What is in
FOLDER already is continued. Printed is a table for benchmarks/results/crossval.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import machine

RECIPE = "segmentation/monai-unet-hippocampus"
METRICS = ("dice", "dice/Anterior", "dice/Posterior", "hd95")


def zoo(*words: str) -> Any:
    """Run a command in a process of its own; what it prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "zoo", *words, "--json"], stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise SystemExit(f"zoo {' '.join(words)}: exit status {done.returncode}")
    return json.loads(done.stdout)[0]


def line(name: str, metrics: dict[str, float], prefix: str = "test/") -> str:
    values = (metrics.get(f"{prefix}{metric}") for metric in METRICS)
    return " | ".join([f"| {name}", *(f"{v:.4f}" if v is not None else "" for v in values)]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=4, help="of each fold")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--out", help="a folder to keep and continue; a temporary one without")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.out or str(
            Path(stack.enter_context(tempfile.TemporaryDirectory())) / "folds"
        )
        epochs = ("--trainer.max_epochs", str(options.epochs))
        every = ("--trainer.check_val_every_n_epoch", str(options.epochs))
        summary = zoo(
            *("crossval", RECIPE, "--folds", str(options.folds), *epochs, *every),
            *("--trainer.enable_progress_bar", "false", "--out", folder, "--resume", "auto"),
        )
        together, mirrored = zoo("test", folder), zoo("test", folder, "--tta")
    print(f"- {machine.today()}, `{' '.join(['python', 'benchmarks/crossval.py', *sys.argv[1:]])}`")
    print(f"- {machine.describe()}\n")
    print("| on the test part | dice | anterior | posterior | hd95 (mm) |\n|---|---|---|---|---|")
    for row in summary["runs"]:
        print(line(row["fold"], row))
    means = {name: values["mean"] for name, values in summary["over_folds"].items()}
    print(line("mean of the folds", means))
    print(line("the folds together", together))
    print(line("the folds together, mirrored too (`--tta`)", mirrored))
    pooled = ", ".join(f"{name} {value:.4f}" for name, value in summary["out_of_fold"].items())
    print(f"\n- Out-of-fold: {pooled}")
    seconds = sum(row["fit_seconds"] for row in summary["runs"])
    print(f"- Training: {seconds:.0f} s in all, {options.epochs} epochs a fold.")


if __name__ == "__main__":
    main()
