"""``zoo tune RECIPE``: a learning rate and a batch size to begin with, as overrides."""

from __future__ import annotations

import argparse
from dataclasses import asdict
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
    from zoo.experiments.tune import Tuning


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "tune",
        help="find a learning rate and a batch size to begin with",
        usage="zoo tune RECIPE [--lr] [--batch-size] [--model.KEY VALUE] [--data.KEY VALUE] ...",
        description="Look for a learning rate, a batch size, or both, with Lightning's finders, "
        "and say what was found as overrides for `zoo train`. It changes nothing.",
    )
    add_recipe(parser)
    parser.add_argument(
        "--lr", action="store_true", help="the learning rate (also if neither is named)"
    )
    parser.add_argument("--batch-size", action="store_true", help="the batch size")
    add_overrides(parser)
    add_folder(parser, out="a new folder for the pictures; runs/tune/RECIPE/TIME by default")
    add_trust_and_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Look, then print the suggestion as overrides."""
    overrides = overrides_of(options)
    known_recipe(options.recipe, overrides)

    from zoo.experiments.tune import tune

    with work(options.json):
        found = tune(
            options.recipe,
            overrides,
            lr=options.lr,
            batch_size=options.batch_size,
            out=options.out,
            trust=options.trust,
        )
    report(found, options.recipe, options.rest, options.json)
    return 0 if found.overrides else 1


def report(found: Tuning, recipe: str, typed: list[str], as_json: bool) -> None:
    """Print what was found, and the command that trains with it."""
    if as_json:
        curves = {
            "learning_rate": asdict(found.rate) if found.rate else None,
            "batch_size": asdict(found.size) if found.size else None,
        }
        row = {"name": found.recipe, "folder": str(found.path), "overrides": found.overrides}
        show([{**row, "before": found.before, **curves}], as_json=True)
        return
    rows = [
        {"setting": key, "suggestion": found.overrides.get(key), "the recipe has": value}
        for key, value in found.before.items()
    ]
    show(rows, as_json=False, title=found.recipe)
    if found.size:
        largest, speed = found.size.sizes[-1], max(found.size.speeds)
        print(
            f"The largest batch that was trained on has {largest} samples ({found.size.ended}); "
            f"the fastest is {speed:.0f} samples/s."
        )
    if found.rate and found.rate.suggestion is None:
        print("No learning rate is suggested: the loss does not fall while it rises.")
    print(f"Pictures: {found.path / 'plots'}")
    if found.overrides:
        words = [f"--{key} {value}" for key, value in found.overrides.items()]
        print("Next:")
        print(f"  zoo train {' '.join([recipe, *typed, *words])}")
