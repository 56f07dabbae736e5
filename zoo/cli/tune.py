"""``zoo tune RECIPE``: a learning rate and a batch size to begin with, as overrides."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from zoo.cli.output import show, work
from zoo.cli.overrides import read_overrides
from zoo.recipes.recipe import override, read_recipe
from zoo.registry.registry import registry

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
    parser.add_argument("recipe", help="a name (`zoo list recipes`) or a YAML file")
    parser.add_argument(
        "--lr", action="store_true", help="the learning rate (also if neither is named)"
    )
    parser.add_argument("--batch-size", action="store_true", help="the batch size")
    parser.add_argument("--seed", help="seed of everything random")
    parser.add_argument(
        "--out", help="a new folder for the pictures; runs/tune/RECIPE/TIME by default"
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="let the recipe file name code that Lightning and the plugins do not bring",
    )
    parser.add_argument("--json", action="store_true", help="a list of one object")
    parser.set_defaults(run=run, takes_overrides=True)


def run(options: argparse.Namespace) -> int:
    """Look, then print the suggestion as overrides."""
    overrides: dict[str, Any] = dict(read_overrides(options.rest))
    if options.seed is not None:
        overrides["seed"] = options.seed
    asked = override(read_recipe(options.recipe), overrides)
    registry().model(asked.model_name)
    registry().dataset(asked.data_name)

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
