"""``zoo compare RUN...``: experiments side by side, each the mean of its seeds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from zoo.io.plain_json import to_json

FORMATS = ("md", "tex", "csv")


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "compare",
        help="put runs side by side, seeds as one row",
        description="Put runs side by side. Runs of one recipe and several seeds are one row: "
        "mean, bootstrap interval, n. Says which differences are less than those between seeds.",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="runs, groups, or folders of them")
    parser.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME",
        help="one to compare, such as val/accuracy; may be repeated; all by default",
    )
    parser.add_argument(
        "--sort",
        metavar="METRIC",
        help="put the best first by it; by default what all of them chose their weights by",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="write report.html, summary.json, summary.csv and plots/curves.png there",
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--format", choices=FORMATS, help="the table alone, to be pasted")
    output.add_argument("--json", action="store_true", help="everything, as one object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the comparison, and write it where asked."""
    from zoo.cli.compare_tables import as_table, as_text
    from zoo.report.comparison import require_own, write_comparison
    from zoo.runs.compare import compare

    if options.out is not None:
        require_own(options.out)
    found = compare(options.runs, options.metric, options.sort)
    if options.out is not None:
        write_comparison(found, Path(options.out))
    if options.json:
        print(to_json(found.as_dict()))
    elif options.format:
        print(as_table(found, options.format), end="")
    else:
        print(as_text(found))
        if options.out is not None:
            print(f"\nwritten to {options.out}")
