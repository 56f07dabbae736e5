"""Learning rates for hindsight policy gradients, by two rules, on seeds that the table leaves out.

Runs that are in the file already are left out, so that the script can be stopped and started
again, and run beside itself for other configurations.

    python hpg_rates.py one --out results/hpg-rates.csv
    python hpg_rates.py own --out results/hpg-rates.csv [--only bitflip8/2/gcpg ...]
    python hpg_rates.py show --out results/hpg-rates.csv
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable
from pathlib import Path

from hpg_protocol import (
    BATCHES,
    METHODS,
    PROBLEMS,
    Configuration,
    Rates,
    averages,
    configuration,
    key_of,
    named,
    run_once,
)
from rows import read_rows

# One rate for all rows of an estimator; written before any run of the table. Among RATES, a part
# of the published grid, it is that with the greatest score: the mean over the two problems of
# SEARCHED, each as a fraction of the best possible return, of (mean - standard deviation) of the
# average performance over the seeds of SEARCH_SEEDS. With a baseline, the policy takes the rate of
# the estimator without, and the baseline net that of BASELINE_RATES with the greatest score; this
# was added after five runs of the table with 0.001 for both nets, which were discarded.
RATES = (0.005, 0.001, 0.0005)
BASELINE_RATES = (0.001, 0.0001, 0.00005)
SEARCHED = (("empty-room", 16), ("bitflip8", 2))
SEARCH_SEEDS = (101, 102)

# A rate of its own for each row, as in the authors' configurations, one for each environment,
# batch size and estimator; written after the table with one rate, before any run of this search
# but those of the other and a few by hand, of weighted-hpg at 0.0005 with N = 2 in the empty room
# and on 16 bits, three seeds of the search's. OWN_RATES is the middle of the published grid,
# which goes from 0.1 to 0.00005. Each is run with SEARCH_SEEDS; a rate of which even the better
# run falls short of SHARE of the row's best run is left; the others are run with MORE_SEEDS too,
# and the row's own rate is that with the greatest mean - standard deviation over the five seeds,
# which is how the authors' script ranks. A row with a baseline takes the policy's rate of the row
# without, and for the baseline net that of BASELINE_RATES which ranks first with SEARCH_SEEDS
# alone, for want of time; written before any such run.
OWN_RATES = (0.005, 0.001, 0.0005, 0.0001)
MORE_SEEDS = (103, 104, 105)
SHARE = 0.9
PLAIN = ("weighted-hpg", "gcpg")
ROWS: tuple[Configuration, ...] = tuple((*key, method) for method in METHODS for key in BATCHES)


def main() -> None:
    """Read the command line and do what it asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("one", "own", "show"))
    parser.add_argument("--out", type=Path, required=True, help="the CSV file")
    parser.add_argument("--only", nargs="*", default=[], help="PROBLEM/EPISODES/METHOD")
    options = parser.parse_args()
    if options.command == "one":
        search_one(options.out)
    elif options.command == "own":
        search_own(options.out, [configuration(text) for text in options.only] or ROWS)
    else:
        show(read_rows(options.out))


def search_one(path: Path) -> None:
    """Try the rates for all rows, first of the policy, then of the baseline nets."""
    for plain in PLAIN:
        for rate in RATES:
            _try(path, plain, (rate, None))
    chosen = one_rate(read_rows(path))
    for plain in PLAIN:
        for baseline_rate in BASELINE_RATES:
            _try(path, f"{plain}+b", (chosen[plain][0], baseline_rate))


def _try(path: Path, method: str, rates: Rates) -> None:
    for problem, episodes in SEARCHED:
        for seed in SEARCH_SEEDS:
            run_once(path, (problem, episodes, method, *rates, seed))


def search_own(path: Path, wanted: Iterable[Configuration]) -> None:
    """Try the rates for each of those rows: a few seeds for all, more for the promising."""
    for row in wanted:
        if row[2] not in PLAIN:
            policy_rate = own_rates(read_rows(path))[_without_baseline(row)][0]
            for seed in SEARCH_SEEDS:
                for baseline_rate in BASELINE_RATES:
                    run_once(path, (*row, policy_rate, baseline_rate, seed))
            continue
        for seed in SEARCH_SEEDS:
            for rate in OWN_RATES:
                run_once(path, (*row, rate, None, seed))
        for seed in MORE_SEEDS:
            for rate in promising(read_rows(path), row):
                run_once(path, (*row, rate, None, seed))


def one_rate(rows: list[dict[str, str]]) -> dict[str, Rates]:
    """The rates of each method by the first rule; only rates with all their runs count."""
    chosen: dict[str, Rates] = {}
    for method in METHODS:
        scores = _scores(rows, method)
        if scores:
            chosen[method] = max(scores, key=scores.__getitem__)
    return chosen


def _scores(rows: list[dict[str, str]], method: str) -> dict[Rates, float]:
    scores = {}
    tried = {key_of(row)[3:5] for row in rows if row["method"] == method}
    for rates in {each for each in tried if each[0] in RATES}:
        parts = []
        for problem, episodes in SEARCHED:
            found = averages(rows, (problem, episodes, method), rates)
            if set(SEARCH_SEEDS) <= found.keys():
                own = [found[seed] for seed in SEARCH_SEEDS]
                parts.append(_ranked_by(own) / PROBLEMS[problem][2])
        if len(parts) == len(SEARCHED):
            scores[rates] = statistics.mean(parts)
    return scores


def promising(rows: list[dict[str, str]], wanted: Configuration) -> list[float]:
    """The rates of a row whose better run of the first seeds is near the best of all rates."""
    best = {}
    for rate in OWN_RATES:
        found = averages(rows, wanted, (rate, None))
        if not set(SEARCH_SEEDS) <= found.keys():
            return []
        best[rate] = max(found[seed] for seed in SEARCH_SEEDS)
    return [rate for rate, value in best.items() if value >= SHARE * max(best.values())]


def own_rates(rows: list[dict[str, str]]) -> dict[Configuration, Rates]:
    """The rate of each row by the second rule, of the rows whose search is complete."""
    chosen: dict[Configuration, Rates] = {}
    for wanted in ROWS:
        if wanted[2] in PLAIN:
            tried: list[Rates] = [(rate, None) for rate in promising(rows, wanted)]
            seeds = (*SEARCH_SEEDS, *MORE_SEEDS)
        elif _without_baseline(wanted) in chosen:
            tried = [(chosen[_without_baseline(wanted)][0], rate) for rate in BASELINE_RATES]
            seeds = SEARCH_SEEDS
        else:
            continue
        found = {rates: averages(rows, wanted, rates) for rates in tried}
        if found and all(set(seeds) <= each.keys() for each in found.values()):
            scores = {rates: _ranked_by([each[s] for s in seeds]) for rates, each in found.items()}
            chosen[wanted] = max(scores, key=scores.__getitem__)
    return chosen


def _without_baseline(row: Configuration) -> Configuration:
    return (*row[:2], row[2].removesuffix("+b"))


def _ranked_by(values: list[float]) -> float:
    return statistics.mean(values) - statistics.pstdev(values)


def show(rows: list[dict[str, str]]) -> None:
    """Print what was searched and chosen, as Markdown."""
    print("One rate for all rows, with the scores of the rates searched:\n")
    for method in METHODS:
        told = sorted(_scores(rows, method).items(), key=lambda each: -each[1])
        print(f"- {method}: " + "; ".join(f"{named(r)} ({score:.3f})" for r, score in told))
    print("\nA rate of its own for each row; average performance of the seeds searched:\n")
    print(
        "| problem | N | estimator | rates: average performance of each seed | own |\n"
        + "|---" * 5
        + "|"
    )
    chosen = own_rates(rows)
    for wanted in ROWS:
        tried = {key_of(row)[3:5] for row in rows if key_of(row)[:3] == wanted}
        told = []
        for rates in sorted(tried, key=lambda each: (-each[0], -(each[1] or 0))):
            found = averages(rows, wanted, rates)
            values = ", ".join(f"{found[seed]:.2f}" for seed in sorted(found))
            told.append(f"{named(rates)}: {values}")
        cells = [*map(str, wanted), "; ".join(told)]
        cells.append(named(chosen[wanted]) if wanted in chosen else "")
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
