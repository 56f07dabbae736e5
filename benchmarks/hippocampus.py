"""PyraMiD-LSTM, MONAI's UNet and nnU-Net on the hippocampus: the same wall time, in one run.

    ZOO_DATA=DATA python benchmarks/hippocampus.py [--minutes 12] [--threads 1] [--at-once]
        [--recipes NAME ...] [--nnunet NNUNET/bin/python]

Each is trained by its recipe (segmentation/pyramid-lstm-hippocampus, monai-unet-hippocampus and
monai-unet-planned-hippocampus) and tested on the last 40 volumes. Of each, two short trainings say
how long an epoch takes; from that follows how many epochs fit into the time, and the recipe's
one-cycle schedule spans them. With ``--at-once`` all train at the same time, so that what else runs
on the machine slows all; otherwise one after another. ``--nnunet`` names the Python of an
environment with nnunetv2: nnU-Net itself then has as many minutes of processor time, on one thread
(nnunet.py says how), and its label maps are measured as the others'. Printed is a table for
benchmarks/results/segmentation.md.
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

RECIPES = (
    "segmentation/pyramid-lstm-hippocampus",
    "segmentation/monai-unet-hippocampus",
    "segmentation/monai-unet-planned-hippocampus",
)
CLASSES = ("Anterior", "Posterior")


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


def nnunet(python: str, minutes: float, folder: Path) -> dict[str, Any]:
    """nnU-Net trained and tested in its own environment."""
    task, out = Path(os.environ["ZOO_DATA"]) / "Task04_Hippocampus", folder / "nnunet"
    script = Path(__file__).parent / "nnunet.py"
    command = [python, str(script), str(task), str(out), "--minutes", str(minutes)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    report = json.loads((out / "nnunet.json").read_text())
    return {
        "recipe": f"nnU-Net, {report['steps']} steps of {report['batch']}",
        "volumes": report["steps"] * report["batch"],
        "epochs": "",
        "fit_seconds": report["wall"],
        "metrics": measured_dice(out / "labels", task / "labelsTr"),
    }


def measured_dice(predicted: Path, truth: Path) -> dict[str, float]:
    """Dice of label maps by the zoo's measure, the mean of the volumes and of the classes."""
    import nibabel
    import numpy as np
    import torch

    from zoo_segmentation.metrics import measure

    def volume(path: Path) -> torch.Tensor:
        values = np.asarray(nibabel.load(path).dataobj)  # type: ignore[attr-defined]
        return torch.from_numpy(values.astype(np.int64))[None, None]

    names = sorted(path.name for path in predicted.glob("*.nii.gz"))
    pairs = [(volume(predicted / name), volume(truth / name)) for name in names]
    each = torch.stack([measure(*pair, 3, distances=False)[0] for pair in pairs]).nanmean(0)
    return {
        "test/dice": float(each.mean()),
        **{f"test/dice/{name}": float(value) for name, value in zip(CLASSES, each, strict=True)},
    }


def table(runs: list[Mapping[str, Any]], volumes: int) -> list[str]:
    lines = [
        "| recipe | test/dice | anterior | posterior | epochs | volumes seen | training time |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        found = run["metrics"]
        parts = [found["test/dice"], *(found[f"test/dice/{name}"] for name in CLASSES)]
        shown = " | ".join(f"{part:.4f}" for part in parts)
        seen = run.get("volumes") or run["epochs"] * volumes
        lines.append(
            f"| {run['recipe']} | {shown} | {run['epochs']} | {seen:,} | "
            f"{run['fit_seconds']:.0f} s |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=12, help="wall time of each training")
    parser.add_argument("--threads", type=int, default=1, help="torch threads of each")
    parser.add_argument("--at-once", action="store_true", help="both at the same time")
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    parser.add_argument("--nnunet", metavar="PYTHON", help="of an environment with nnunetv2")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="zoo-hippocampus-") as folder:
        one = partial(
            measure,
            minutes=arguments.minutes,
            folder=Path(folder),
            threads=arguments.threads,
        )
        with ThreadPoolExecutor(len(arguments.recipes) if arguments.at_once else 1) as pool:
            runs = list(pool.map(one, arguments.recipes))
        if arguments.nnunet:
            runs.append(nnunet(arguments.nnunet, arguments.minutes, Path(folder)))
    print(
        f"- {machine.today()}, `{' '.join(['python', 'benchmarks/hippocampus.py', *sys.argv[1:]])}`"
    )
    print(f"- {machine.describe()}; {arguments.threads} thread(s) each\n")
    print("\n".join(table(runs, 160)))
    print("\n- asked: the planned UNet at least nnU-Net's Dice, PyraMiD-LSTM within 0.01 of it")


if __name__ == "__main__":
    main()
