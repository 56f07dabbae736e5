"""``zoo sweep RECIPE``: trials of a recipe with other values, by Optuna."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo.cli.output import show, work
from zoo.cli.training_options import (
    add_folder,
    add_overrides,
    add_recipe,
    add_trust_and_json,
    known_recipe,
    overrides_of,
)

if TYPE_CHECKING:
    from zoo.experiments.sweeps.result import Sweep

_BEST = 10
"""Trials that are shown; all are in summary.csv."""
_FORMS = """a range or a choice is the value of an override, or stands in the file of --space:
  log:1e-4:1e-1      a number, each order of magnitude as likely
  float:0.1:0.9      a number; float:0.1:0.9:0.1 in steps
  int:1:8            a whole number; int:16:128:16 in steps
  logint:16:512      a whole number, each order of magnitude as likely
  choice:32,64,128   one of these"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "sweep",
        help="search for the values with which a recipe is best",
        usage="zoo sweep RECIPE [--space FILE] [--model.lr log:1e-4:1e-1] [--data.KEY VALUE] ...",
        description="Train a recipe with other values, proposed by Optuna from the trials before, "
        "and choose by the validation; the test part is not read. The same command with the same "
        "--out continues a sweep that was cut, and started several times it shares the trials.",
        epilog=_FORMS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_recipe(parser)
    parser.add_argument("--space", metavar="FILE", help="YAML of overrides to ranges and choices")
    parser.add_argument("--trials", metavar="N", help="how many in all (default: 20)")
    parser.add_argument("--metric", help="of the validation; what is monitored by default")
    parser.add_argument("--direction", help="minimize or maximize")
    parser.add_argument("--sampler", default="tpe", help="tpe or random (default: tpe)")
    parser.add_argument(
        "--pruner", default="median", help="median, halving or none (default: median)"
    )
    parser.add_argument(
        "--storage",
        help="sqlite:///FILE, postgresql://USER@HOST/DATABASE or a journal file; one in the "
        "folder by default",
    )
    parser.add_argument("--study", metavar="NAME", help="in the storage; the recipe's by default")
    add_overrides(parser, budget="end each trial")
    add_folder(
        parser,
        out="the folder; runs/sweep/RECIPE/TIME by default",
        resume="continue the newest unfinished sweep of the recipe, or the one in a folder",
        metavar="auto|DIR",
    )
    add_trust_and_json(
        parser,
        trust="let the files of recipe and space name code that Lightning and the plugins do not "
        "bring",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Sweep, then print the best trials and what to do next."""
    from zoo.errors import UsageError
    from zoo.experiments.sweeps.options import TRIALS
    from zoo.experiments.sweeps.space import is_marked, read_space

    overrides = overrides_of(options)
    count = TRIALS if options.trials is None else options.trials
    if not str(count).isdecimal():
        raise UsageError(f"--trials has to be a whole number, not {count!r}")
    # What is mistyped is refused here, before anything imports torch.
    if options.space is not None:
        read_space(options.space)
    read_space({key: value for key, value in overrides.items() if is_marked(value)})
    known_recipe(options.recipe, overrides)

    from zoo.experiments.sweeps.sweep import sweep

    with work(options.json):
        found = sweep(
            options.recipe,
            options.space,
            overrides,
            trials=int(count),
            metric=options.metric,
            direction=options.direction,
            sampler=options.sampler,
            pruner=options.pruner,
            storage=options.storage,
            study=options.study,
            out=options.out,
            resume=options.resume,
            trust=options.trust,
        )
    report(found, options.json)
    return 0 if found.best else 1


def report(found: Sweep, as_json: bool) -> None:
    """Print the best trials, their number in all, and the best as overrides."""
    if as_json:
        row = {"name": found.recipe, "sweep": str(found.path), "metric": found.metric}
        rest = {"direction": found.direction, "best": found.best, "trials": found.trials}
        show([{**row, **rest}], as_json=True)
        return
    sign = 1 if found.direction == "minimize" else -1
    ended = [row for row in found.trials if row["state"] == "complete"]
    ranked = sorted(ended, key=lambda row: sign * row["value"])
    rows = [
        {"trial": row["trial"], found.metric: row["value"], **_short(row["values"])}
        for row in ranked[:_BEST]
    ]
    show(rows, as_json=False, title=f"{found.recipe}: {_counted(found.trials)}")
    if found.best is None:
        reasons = [row["reason"] for row in found.trials if row["reason"]]
        print(f"no trial came to its end{f': {reasons[0]}' if reasons else ''}")
        print(f"All of them: {found.path / 'summary.csv'}")
        return
    words = " ".join(f"--{key} {value}" for key, value in found.best["values"].items())
    print(f"All of them: {found.path / 'summary.csv'}, {found.path / 'plots'}")
    print(f"The best: {words}")
    print("Next:")
    print(f"  zoo train {found.path / 'best.yaml'}")


def _short(values: Mapping[str, Any]) -> dict[str, Any]:
    """By the last part of their key, where that is enough."""
    last = [key.rpartition(".")[2] for key in values]
    names = [name if last.count(name) == 1 else key for key, name in zip(values, last, strict=True)]
    return dict(zip(names, values.values(), strict=True))


def _counted(trials: list[dict[str, Any]]) -> str:
    states = [row["state"] for row in trials]
    kinds = sorted(set(states), key=lambda state: (-states.count(state), state))
    return f"{len(trials)} trials, " + ", ".join(f"{states.count(each)} {each}" for each in kinds)
