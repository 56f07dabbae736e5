"""``zoo train`` and ``zoo finetune`` with ``--seeds 1-5``: their options, and what they print."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from zoo.cli.output import heading, wrap
from zoo.errors import UsageError
from zoo.io.plain_json import to_json
from zoo.io.printable import printable
from zoo.runs.group import is_group

if TYPE_CHECKING:
    from zoo.experiments.seeds import TrainedSeeds


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--seeds`` and ``--jobs``."""
    parser.add_argument(
        "--seeds",
        metavar="1-5|1,3,7",
        help="a run a seed, each in a process of its own, in one folder with one summary",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="how many of the --seeds at once (default: 1); they share the processor's cores",
    )


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
    if several and getattr(options, "print_config", False):
        raise UsageError("--print-config shows the recipe of one run: omit --seeds")
    return several


def options_of(options: argparse.Namespace) -> dict[str, Any]:
    """What ``train_seeds`` and ``finetune_seeds`` take alike."""
    jobs = 1 if options.jobs is None else options.jobs
    names = ("out", "resume", "trust")
    return {"jobs": jobs, **{name: getattr(options, name) for name in names}}


def report_seeds(done: TrainedSeeds, as_json: bool) -> int:
    """Print the summary of seeds.

    Returns:
        0, or 1 where a seed failed.
    """
    if as_json:
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
        print(f"  {done.continued_by}")
    print(f"  zoo runs {path}")
    print(f"  zoo compare {path} OTHER-RUNS")
