"""Hindsight policy gradients over the published protocol, one row of CSV for each run.

Runs that are in the file already are left out, so that the script can be stopped and started
again. A run of seed 101 or above is one of the search for the learning rate.

    python hpg_table.py search --out results/hpg-rates.csv
    python hpg_table.py table --out results/hpg-runs.csv [--seeds 5] [--only bitflip8/2/gcpg ...]
    python hpg_table.py add --out results/hpg-runs.csv --run RUN   # made by zoo train
    python hpg_table.py show --out results/hpg-runs.csv --curves ../docs/pictures
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
from machine import describe, today
from rows import add_row, read_rows

from zoo.runs import Run, open_run
from zoo.training import train
from zoo_rl.figures import learning_curve
from zoo_rl.statistics import bootstrap_interval

PROBLEMS = {
    "bitflip8": ("bit-flipping", {"bits": 8}, 4.992),
    "bitflip16": ("bit-flipping", {"bits": 16}, 9.000),
    "empty-room": ("empty-room", {}, 21.92),
    "four-rooms": ("four-rooms", {}, 18.84),
}
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
PAPER = {  # HPG, GCPG, HPG+B, GCPG+B; remembered from the paper and not verified
    ("bitflip8", 2): ("4.60±.06", "1.81±.61", "3.40±.46", ".64±.58"),
    ("bitflip8", 16): ("4.72±.02", "3.44±.30", "4.04±.10", "3.31±.58"),
    ("bitflip16", 2): ("7.11±.12", "0", "5.35±.40", "0"),
    ("bitflip16", 16): ("7.39±.24", "0", "6.09±.29", "0"),
    ("empty-room", 2): ("20.22±.37", "12.54±1.01", "19.90±.29", "12.69±1.16"),
    ("empty-room", 16): ("16.83±.84", "10.96±1.24", "17.12±.44", "10.68±1.36"),
    ("four-rooms", 2): ("7.38±.16", "4.64±.57", "7.28±1.28", "4.26±.55"),
    ("four-rooms", 16): ("8.75±.12", "6.12±.54", "8.08±.18", "6.61±.49"),
}

# The rule for the learning rate, written before any run of the table. Among RATES, a part of the
# published grid, the one rate of an estimator is that with the greatest score. The score of a
# rate is the mean over the two problems of SEARCHED, each as a fraction of the best possible
# return, of (mean - standard deviation) of the average performance over the seeds of
# SEARCH_SEEDS, which the table does not use. With a baseline, the policy takes the rate of the
# estimator without, and the baseline net that of BASELINE_RATES with the greatest score; this was
# added after five runs of the table with 0.001 for both nets, which were discarded.
RATES = (0.005, 0.001, 0.0005)
BASELINE_RATES = (0.001, 0.0001, 0.00005)
SEARCHED = (("empty-room", 16), ("bitflip8", 2))
SEARCH_SEEDS = (101, 102)

FIELDS = (
    "problem", "episodes", "method", "lr", "baseline_lr", "seed", "average_return", "final_return",
    "seconds", "curve",
)  # fmt: skip
Rates = tuple[float, float | None]
"""Of the policy and of the baseline net, if there is one."""
Key = tuple[str, int, str, float, float | None, int]


def main() -> None:
    """Read the command line and do what it asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("search", "table", "add", "show"))
    parser.add_argument("--out", type=Path, required=True, help="the CSV file")
    parser.add_argument(
        "--rates", type=Path, default=Path(__file__).parent / "results/hpg-rates.csv"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[], help="PROBLEM/EPISODES/METHOD")
    parser.add_argument("--run", type=Path, help="for add: a run folder")
    parser.add_argument("--curves", type=Path, help="a folder for pictures")
    options = parser.parse_args()
    if options.command == "search":
        search(options.out)
    elif options.command == "table":
        rates = chosen_rates(read_rows(options.rates))
        everything = [f"{p}/{n}/{method}" for method in METHODS for p, n in BATCHES]
        for seed in range(1, options.seeds + 1):
            for wanted in options.only or everything:
                problem, episodes, method = wanted.split("/")
                run_once(options.out, (problem, int(episodes), method, *rates[method], seed))
    elif options.command == "add":
        add(options.out, open_run(options.run))
    else:
        print(
            "# Hindsight policy gradients: the published protocol\n\n"
            f"- {today()}; {describe()}; several runs and other work at a time\n"
            "- `python hpg_table.py search`, `table`, `show`; every run: hpg-runs.csv and "
            "hpg-rates.csv\n"
            "- Average performance: the mean of 101 greedy evaluations of 256 episodes, the one "
            "before training included; std over seeds (population), 95 % bootstrap interval of "
            "the mean. The paper's figures are remembered, not verified.\n"
            "- Learning rates, by the rule in hpg_table.py, on seeds that the table does not use, "
            "with the scores of the rates searched:"
        )
        chosen_rates(read_rows(options.rates))
        print()
        show(read_rows(options.out), options.curves)


def search(path: Path) -> None:
    """Try the rates, first of the policy, then of the baseline nets."""
    for plain in ("weighted-hpg", "gcpg"):
        for rate in RATES:
            _try(path, plain, (rate, None))
    chosen = chosen_rates(read_rows(path))
    for plain in ("weighted-hpg", "gcpg"):
        for baseline_rate in BASELINE_RATES:
            _try(path, f"{plain}+b", (chosen[plain][0], baseline_rate))


def _try(path: Path, method: str, rates: Rates) -> None:
    for problem, episodes in SEARCHED:
        for seed in SEARCH_SEEDS:
            run_once(path, (problem, episodes, method, *rates, seed))


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


def chosen_rates(rows: list[dict[str, str]]) -> dict[str, Rates]:
    """The rates of each method by the rule above; only rates with all their runs count."""
    chosen: dict[str, Rates] = {}
    for method in METHODS:
        tried = {key_of(row)[3:5] for row in rows if row["method"] == method}
        found = {rates: score_of(rows, method, rates) for rates in tried}
        scores = {rates: score for rates, score in found.items() if score is not None}
        if scores:
            chosen[method] = max(scores, key=scores.__getitem__)
            told = sorted(scores.items(), key=lambda each: -each[1])
            print(f"    - {method}: " + "; ".join(f"{named(r)} ({s:.3f})" for r, s in told))
    return chosen


def score_of(rows: list[dict[str, str]], method: str, rates: Rates) -> float | None:
    """The score of rates; None unless all their runs are there."""
    parts = []
    for problem, episodes in SEARCHED:
        found = {
            int(row["seed"]): float(row["average_return"])
            for row in rows
            if key_of(row)[:5] == (problem, episodes, method, *rates)
        }
        if not set(SEARCH_SEEDS) <= found.keys():
            return None
        values = [found[seed] for seed in SEARCH_SEEDS]
        parts.append((statistics.mean(values) - statistics.pstdev(values)) / PROBLEMS[problem][2])
    return statistics.mean(parts)


def named(rates: Rates) -> str:
    """Rates as a text: of the policy, and of the baseline net if there is one."""
    return " / ".join(f"{rate:g}" for rate in rates if rate is not None)


def show(rows: list[dict[str, str]], curves: Path | None) -> None:
    """Print the table, and draw the learning curves."""
    head = ("problem", "N", "estimator", "learning rate", "seeds", "average performance", "std")
    head += ("95 % interval", "final", "paper (unverified)", "seconds a run")
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for (problem, episodes), reported in PAPER.items():
        drawn: dict[str, list[list[tuple[float, float]]]] = {}
        for method, paper in zip(METHODS, reported, strict=True):
            own = [row for row in rows if key_of(row)[:3] == (problem, episodes, method)]
            start = f"| {problem} | {episodes} | {method} |"
            if not own:
                print(f"{start} | | not measured | | | | {paper} | |")
                continue
            values = [float(row["average_return"]) for row in own]
            low, high = bootstrap_interval(values)
            final = statistics.mean(float(row["final_return"]) for row in own)
            seconds = statistics.mean(float(row["seconds"]) for row in own)
            rates = named(key_of(own[0])[3:5])
            print(
                f"{start} {rates} | {len(own)} | {statistics.mean(values):.2f} | "
                f"{statistics.pstdev(values):.2f} | {low:.2f} to {high:.2f} | {final:.2f} | "
                f"{paper} | {seconds:.0f} |"
            )
            step = BATCHES[problem, episodes] // 100
            drawn[method] = [
                [(step * n, float(x)) for n, x in enumerate(row["curve"].split())] for row in own
            ]
        if curves and drawn:
            best = PROBLEMS[problem][2]
            figure = learning_curve(
                drawn, {f"best possible: {best}": best}, "batches", "mean return of 256 episodes",
                f"{problem}, {episodes} episodes a batch",
            )  # fmt: skip
            curves.mkdir(parents=True, exist_ok=True)
            figure.savefig(curves / f"hpg-{problem}-{episodes}.png", dpi=90)


if __name__ == "__main__":
    logging.disable(logging.INFO)
    main()
