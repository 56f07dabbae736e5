"""``zoo train RECIPE --seeds 1-5``: what it prints at its end."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from zoo.cli.output import heading, wrap
from zoo.errors import UsageError
from zoo.io.plain_json import to_json
from zoo.io.printable import printable
from zoo.runs.group import is_group

if TYPE_CHECKING:
    from zoo.experiments.seeds import TrainedSeeds


def is_of_seeds(options: argparse.Namespace) -> bool:
    """Whether several runs are asked for: by ``--seeds``, or by a group that is to be continued.

    Raises:
        UsageError: options contradict each other.
    """
    resumed = options.resume not in (None, "", "auto") and is_group(options.resume)
    several = options.seeds is not None or resumed
    if options.jobs is not None and not several:
        raise UsageError("--jobs says how many seeds are trained at once: it needs --seeds")
    if several and options.seed is not None:
        raise UsageError("--seed is of one run and --seeds of several: omit one of them")
    if several and options.print_config:
        raise UsageError("--print-config shows the recipe of one run: omit --seeds")
    return several


def train_and_report(options: argparse.Namespace, overrides: Mapping[str, str]) -> int:
    """Train the seeds and print their summary.

    Returns:
        0, or 1 where a seed failed.
    """
    from zoo.experiments.seeds import train_seeds

    done = train_seeds(
        options.recipe,
        options.seeds,
        overrides,
        jobs=1 if options.jobs is None else options.jobs,
        out=options.out,
        resume=options.resume,
        trust=options.trust,
    )
    if options.json:
        summary = done.comparison.as_dict() if done.comparison else {}
        print(to_json({"group": str(done.group.path), "failed": dict(done.failed), **summary}))
    else:
        _print(done)
    return 1 if done.failed else 0


def _print(done: TrainedSeeds) -> None:
    from zoo.cli.compare_tables import as_text

    count, path = len(done.group.members), done.group.path
    finished = count - len(done.failed)
    print(heading(printable(f"{done.group.recipe}: {finished} of {count} seeds, in {path}")))
    if done.comparison:
        print(as_text(done.comparison))
    else:
        for name, reason in done.failed.items():
            print(wrap(printable(f"- {name} failed: {reason}"), 0, 2))
    print("Next:")
    if done.failed:
        print(f"  zoo train {done.group.recipe} --resume {path}")
    print(f"  zoo runs {path}")
    print(f"  zoo compare {path} OTHER-RUNS")
