"""``zoo runs``: the runs under a folder, what became of each, and whether it reached its target.

A terminal gets a line a run, under its recipe; a group, such as the seeds of a recipe, is one line
unless its members are asked for. ``--json`` gets everything of every run.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from zoo.cli.output import show, terminal_width
from zoo.cli.run_lines import brief, full
from zoo.runs.listing import find_runs, ordered, select
from zoo.runs.record import STATES
from zoo.runs.run import RUNS


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("runs", help="list the runs under a folder")
    parser.add_argument("folder", nargs="?", default=str(RUNS), help="runs/ by default")
    parser.add_argument("--recipe", default="*", metavar="PATTERN", help="such as 'vision/*'")
    parser.add_argument(
        "--state",
        metavar="STATE",
        help=f"{', '.join(STATES)}; fast is finished on a part of the batches, waiting a member "
        "of a group that has not begun",
    )
    parser.add_argument(
        "--sort", metavar="METRIC", help="the best first by a metric, or `when` or `time`"
    )
    parser.add_argument("--members", action="store_true", help="list the runs of groups one by one")
    parser.add_argument("--json", action="store_true", help="a list of objects, members one by one")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print them."""
    found = find_runs(options.folder)
    runs = select(found.runs, options.recipe, options.state)
    if options.sort:
        runs = ordered(runs, options.sort)
    if options.json:
        show([each.as_dict() for each in runs], as_json=True)
        return
    if not runs:
        print(
            f"none of the {len(found.runs)} runs in {options.folder} fits"
            if found.runs
            else f"no runs in {options.folder}: `zoo train RECIPE` makes one (zoo list recipes)"
        )
        return
    groups = {} if options.members or options.sort or options.state else found.groups
    if terminal_width():
        print("\n".join(brief(runs, groups, Path(options.folder), options.sort)))
    else:
        show(full(runs, groups), as_json=False)
