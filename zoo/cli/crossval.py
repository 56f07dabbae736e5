"""``zoo crossval RECIPE``: a run for each fold of the data."""

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
    from zoo.experiments.crossval import CrossValidation


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "crossval",
        help="train a recipe by cross-validation",
        usage="zoo crossval RECIPE [--folds 5] [--group-by ...] [--data.KEY VALUE] ...",
        description="Divide the training and the validation part of a recipe's data into folds, "
        "and train a model for each that is validated on it; the test part stays as it is. The "
        "folder with the folds is a reference that `zoo test`, `predict` and `export` take as an "
        "ensemble.",
    )
    add_recipe(parser)
    parser.add_argument("--folds", type=int, help="how many (default: 5)")
    parser.add_argument(
        "--stratify",
        action=argparse.BooleanOptionalAction,
        help="every fold has the shares of the classes; by default where samples have a class",
    )
    parser.add_argument(
        "--group-by",
        metavar="HOW",
        help="what lies in one fold: layout (tracks, speakers, subjects of the publisher's "
        "layout), regex:PATTERN over the files' names, csv:FILE:COLUMN, or none; by default layout "
        "where it names groups",
    )
    parser.add_argument("--split-seed", type=int, help="seed of the choice of folds (default: 0)")
    parser.add_argument(
        "--jobs", type=int, default=1, help="folds trained at once, each a process (default: 1)"
    )
    add_overrides(parser, budget="end each training")
    add_folder(
        parser,
        out="the folder of the folds; runs/RECIPE/TIME by default",
        resume="continue the newest unfinished cross-validation of the recipe, or that in a folder",
        metavar="auto|FOLDER",
    )
    add_trust_and_json(parser, json="print the summary as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train the folds and print what they say together; 1 if one failed."""
    overrides = overrides_of(options)
    recipe, _ = known_recipe(options.recipe, overrides)

    from zoo.experiments.crossval import crossval

    with work(options.json):
        done = crossval(
            recipe,
            overrides,
            folds=options.folds,
            stratify=options.stratify,
            group_by=options.group_by,
            split_seed=options.split_seed,
            jobs=options.jobs,
            out=options.out,
            resume=options.resume,
            trust=options.trust,
        )
    _report(done, options.json)
    return 1 if done.failed else 0


def _report(done: CrossValidation, as_json: bool) -> None:
    path, summary = done.group.path, done.summary
    if as_json:
        show([{"name": done.group.recipe, "group": str(path), **summary}], as_json=True)
        return
    show(
        list(_rows(summary)),
        as_json=False,
        title=f"{summary['recipe']}: {summary['finished']} of {summary['folds']} folds",
    )
    print(f"The folds are in {path}, with summary.csv and predictions.csv")
    if done.failed:
        print(f"Continue: zoo crossval {done.group.recipe} --resume {path}")
        return
    print("Next:")
    print(f"  zoo test {path}")
    print(f"  zoo predict {path} YOUR-FILES --out predictions")


def _rows(summary: Mapping[str, Any]) -> Any:
    """Each metric of the models by themselves, over folds, and that of all folds together."""
    pooled = summary["out_of_fold"]
    for name, value in sorted(pooled.items()):
        yield {"metric": f"out-of-fold {name}", "value": f"{value:.4f}", "over folds": ""}
    for name, values in summary["over_folds"].items():
        spread = f"± {values['std']:.4f}, n = {values['n']}"
        yield {"metric": name, "value": f"{values['mean']:.4f}", "over folds": spread}
