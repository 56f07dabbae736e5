"""Hindsight policy gradients over the published protocol, one row of CSV for each run.

Runs that are in the file already are left out, so that the script can be stopped and started
again, and run beside itself for other configurations.

    python hpg_table.py one --out results/hpg-runs.csv [--seeds 5] [--only bitflip8/2/gcpg ...]
    python hpg_table.py own --out results/hpg-runs.csv [--seeds 5] [--only bitflip8/2/gcpg ...]
    python hpg_table.py add --out results/hpg-runs.csv --run RUN   # made by zoo train
    python hpg_table.py show --out results/hpg-runs.csv --curves ../docs/pictures

``one`` trains with one learning rate for all rows of an estimator, ``own`` with one for each row;
hpg_rates.py chooses both.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping
from pathlib import Path

from hpg_protocol import (
    BATCHES,
    METHODS,
    PROBLEMS,
    Configuration,
    Rates,
    add,
    averages,
    configuration,
    key_of,
    named,
    run_once,
)
from hpg_rates import one_rate, own_rates
from machine import describe, today
from rows import read_rows

from zoo.runs.run import open_run
from zoo_rl.plots import learning_curve
from zoo_rl.statistics import bootstrap_interval

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
HEAD = (
    "problem", "N", "estimator", "learning rate", "seeds", "average performance", "std",
    "95 % interval", "final", "paper (unverified)", "seconds a run",
)  # fmt: skip
EVERYTHING: tuple[Configuration, ...] = tuple((*key, method) for method in METHODS for key in PAPER)


def main() -> None:
    """Read the command line and do what it asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("one", "own", "add", "show"))
    parser.add_argument("--out", type=Path, required=True, help="the CSV file")
    parser.add_argument(
        "--rates", type=Path, default=Path(__file__).parent / "results/hpg-rates.csv"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[], help="PROBLEM/EPISODES/METHOD")
    parser.add_argument("--run", type=Path, help="for add: a run folder")
    parser.add_argument("--curves", type=Path, help="a folder for plots")
    options = parser.parse_args()
    searched = read_rows(options.rates)
    of_method = one_rate(searched)
    one = {key: of_method[key[2]] for key in EVERYTHING}
    own = own_rates(searched)
    if options.command == "add":
        add(options.out, open_run(options.run))
    elif options.command == "show":
        show(read_rows(options.out), one, own, options.curves)
    else:
        rates = one if options.command == "one" else own
        wanted = [configuration(text) for text in options.only] or list(rates)
        for seed in range(1, options.seeds + 1):
            for key in wanted:
                run_once(options.out, (*key, *rates[key], seed))


def show(
    rows: list[dict[str, str]],
    one: Mapping[Configuration, Rates],
    own: Mapping[Configuration, Rates],
    curves: Path | None,
) -> None:
    """Print the tables, and draw the learning curves."""
    print(
        "# Hindsight policy gradients: the published protocol\n\n"
        f"- {today()}; {describe()}; several runs and other work at a time\n"
        "- `python hpg_table.py one`, `own`, `show`; every run: hpg-runs.csv. Rates: hpg-rates.md\n"
        "- Average performance: the mean of 101 greedy evaluations of 256 episodes, the one "
        "before training included; std over seeds (population), 95 % bootstrap interval of the "
        "mean. The paper's metrics are remembered, not verified.\n\n"
        "## One learning rate for all rows of an estimator\n"
    )
    print_table(rows, one)
    print("\n## A learning rate for each row\n")
    print_table(rows, own)
    if curves:
        curves.mkdir(parents=True, exist_ok=True)
        for problem, episodes in PAPER:
            draw(rows, {**one, **own}, problem, episodes, curves)


def print_table(rows: list[dict[str, str]], rates: Mapping[Configuration, Rates]) -> None:
    """The rows of those configurations, as Markdown."""
    print("| " + " | ".join(HEAD) + " |\n" + "|---" * len(HEAD) + "|")
    reached = []
    for (problem, episodes), reported in PAPER.items():
        for method, paper in zip(METHODS, reported, strict=True):
            wanted = (problem, episodes, method)
            if wanted not in rates:
                continue
            runs = _runs(rows, wanted, rates[wanted])
            start = f"| {problem} | {episodes} | {method} | {named(rates[wanted])} |"
            if not runs:
                print(f"{start} not measured | | | | | {paper} | |")
                continue
            values = list(averages(runs, wanted, rates[wanted]).values())
            low, high = bootstrap_interval(values)
            final = statistics.mean(float(row["final_return"]) for row in runs)
            seconds = statistics.mean(float(row["seconds"]) for row in runs)
            print(
                f"{start} {len(runs)} | {statistics.mean(values):.2f} | "
                f"{statistics.pstdev(values):.2f} | {low:.2f} to {high:.2f} | {final:.2f} | "
                f"{paper} | {seconds:.0f} |"
            )
            if method == "weighted-hpg":
                reached.append(round(statistics.mean(values), 2) >= float(paper.split("±")[0]))
    print(f"\nweighted-hpg at the paper's mean or above: {sum(reached)} of {len(reached)} rows")


def _runs(rows: list[dict[str, str]], wanted: Configuration, rates: Rates) -> list[dict[str, str]]:
    return [row for row in rows if key_of(row)[:5] == (*wanted, *rates)]


def draw(
    rows: list[dict[str, str]],
    rates: Mapping[Configuration, Rates],
    problem: str,
    episodes: int,
    folder: Path,
) -> None:
    """The learning curves of all methods on a problem, as an image."""
    step = BATCHES[problem, episodes] // 100
    curves: dict[str, list[list[tuple[float, float]]]] = {}
    for method in METHODS:
        wanted = (problem, episodes, method)
        curves[f"{method}, rate {named(rates[wanted])}"] = [
            [(step * n, float(x)) for n, x in enumerate(row["curve"].split())]
            for row in _runs(rows, wanted, rates[wanted])
        ]
    best = PROBLEMS[problem][2]
    figure = learning_curve(
        {name: runs for name, runs in curves.items() if runs},
        {f"best possible: {best}": best},
        "batches",
        "mean return of 256 episodes",
        f"{problem}, {episodes} episodes a batch",
    )
    figure.savefig(folder / f"hpg-{problem}-{episodes}.png", dpi=90)


if __name__ == "__main__":
    main()
