"""The published protocol of hindsight policy gradients: one run of it is one row of a CSV."""

from __future__ import annotations

import logging
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
from rows import add_row, read_rows

from zoo.runs.run import Run
from zoo.training.train import train

PROBLEMS = {
    "bitflip8": ("bit-flipping", {"bits": 8}, 4.992),
    "bitflip16": ("bit-flipping", {"bits": 16}, 9.000),
    "empty-room": ("empty-room", {}, 21.92),
    "four-rooms": ("four-rooms", {}, 18.84),
}
"""The dataset of each, its arguments, and the best possible return."""
BATCHES = {
    ("bitflip8", 2): 5000,
    ("bitflip8", 16): 1400,
    ("bitflip16", 2): 15000,
    ("bitflip16", 16): 1000,
    ("empty-room", 2): 2200,
    ("empty-room", 16): 200,
    ("four-rooms", 2): 10000,
    ("four-rooms", 16): 1700,
}
"""The published numbers of batches, by problem and episodes a batch."""
METHODS = {
    "weighted-hpg": {"estimator": "weighted-hpg"},
    "gcpg": {"estimator": "gcpg"},
    "weighted-hpg+b": {"estimator": "weighted-hpg", "baseline": True},
    "gcpg+b": {"estimator": "gcpg", "baseline": True},
}
FIELDS = (
    "problem", "episodes", "method", "lr", "baseline_lr", "seed", "average_return", "final_return",
    "seconds", "curve",
)  # fmt: skip
Rates = tuple[float, float | None]
"""Of the policy and of the baseline net, if there is one."""
Configuration = tuple[str, int, str]
"""Problem, episodes a batch, method: a row of the paper's table."""
Key = tuple[str, int, str, float, float | None, int]
"""A configuration, its rates and a seed: what a run is known by."""


def run_once(path: Path, key: Key) -> None:
    """Train by that key and add a row, unless there is one."""
    if key in {key_of(row) for row in read_rows(path)}:
        return
    problem, episodes, method, rate, baseline_rate, seed = key
    dataset, arguments, _ = PROBLEMS[problem]
    changes: dict[str, Any] = {
        "data.name": dataset,
        "data.batch_size": episodes,
        "data.batches_per_epoch": BATCHES[problem, episodes] // 100,
        **{f"data.{name}": value for name, value in arguments.items()},
        **{f"model.{name}": value for name, value in METHODS[method].items()},
        "model.lr": rate,
        "model.baseline_lr": baseline_rate,
        "seed": seed,
        "trainer.max_epochs": 100,
        "trainer.enable_progress_bar": False,
        "trainer.logger": False,
    }
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        add(path, train("hpg/bitflip8", changes, out=Path(folder) / "run"))


def add(path: Path, run: Run) -> None:
    """Add the row of a finished run, also of one by ``zoo train``."""
    data, model = run.recipe.data, run.recipe.model
    (problem,) = (
        name
        for name, (dataset, arguments, _) in PROBLEMS.items()
        if dataset == run.recipe.data_name and arguments.items() <= data.items()
    )
    with_baseline = bool(model.get("baseline"))
    method = str(model["estimator"]) + "+b" * with_baseline
    lr = float(model["lr"])
    baseline_lr = float(model.get("baseline_lr") or lr) if with_baseline else None
    key = (problem, int(data["batch_size"]), method, lr, baseline_lr, run.recipe.seed)
    curve = torch.load(run.checkpoint, weights_only=True)["evaluations"]
    batches = 100 * int(data["batches_per_epoch"])
    assert (len(curve), batches) == (101, BATCHES[key[:2]]), "that is not the protocol"
    row = dict(zip(FIELDS, (*key, statistics.mean(curve), curve[-1]), strict=False))
    row["seconds"] = round(run.environment["fit_seconds"])
    row["curve"] = " ".join(f"{value:.3f}" for value in curve)
    add_row(path, FIELDS, {**row, "average_return": f"{row['average_return']:.4f}"})
    print({k: v for k, v in row.items() if k != "curve"}, flush=True)


def key_of(row: dict[str, str]) -> Key:
    """What a row is of."""
    rates = float(row["lr"]), float(row["baseline_lr"]) if row["baseline_lr"] else None
    return row["problem"], int(row["episodes"]), row["method"], *rates, int(row["seed"])


def averages(rows: list[dict[str, str]], wanted: Configuration, rates: Rates) -> dict[int, float]:
    """The average performance of each seed of a configuration with those rates."""
    return {
        key_of(row)[5]: float(row["average_return"])
        for row in rows
        if key_of(row)[:5] == (*wanted, *rates)
    }


def configuration(text: str) -> Configuration:
    """What ``bitflip8/2/gcpg`` names."""
    problem, episodes, method = text.split("/")
    return problem, int(episodes), method


def named(rates: Rates) -> str:
    """Rates as a text: of the policy, and of the baseline net if there is one."""
    return " / ".join(f"{rate:g}" for rate in rates if rate is not None)
