"""What the commands that train have alike: their options, the overrides from these, and names
that are refused before anything imports torch."""

from __future__ import annotations

import argparse
from typing import Any

from zoo.cli.overrides import read_overrides
from zoo.recipes.recipe import Recipe, override, read_recipe
from zoo.registry.registry import registry

_TRUST = "let the recipe file name code that Lightning and the plugins do not bring"


def add_recipe(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    """Add ``RECIPE``.

    Args:
        parser: Of the command.
        nargs: ``"?"`` where the command itself says what is missing.
    """
    parser.add_argument("recipe", nargs=nargs, help="a name (`zoo list recipes`) or a YAML file")


def add_overrides(parser: argparse.ArgumentParser, budget: str | None = None) -> None:
    """Add ``--seed``, ``--compile``, and ``--budget`` where there is one.

    Args:
        parser: Of the command.
        budget: What its budget does.
    """
    parser.add_argument("--seed", help="seed of everything random")
    parser.add_argument(
        "--compile",
        action="store_true",
        help="compile the networks with torch.compile, as --trainer.compile true does",
    )
    if budget is not None:
        parser.add_argument(
            "--budget",
            action="append",
            metavar="UNIT=COUNT",
            help=f"{budget} at a count of what the model or its data count, such as "
            "evaluations=5000",
        )


def add_folder(
    parser: argparse.ArgumentParser, out: str, resume: str | None = None, metavar: str = "auto|RUN"
) -> None:
    """Add ``--out``, and ``--resume`` where the command can.

    Args:
        parser: Of the command.
        out: What ``--out`` is.
        resume: What ``--resume`` does.
        metavar: What ``--resume`` takes.
    """
    parser.add_argument("--out", help=out)
    if resume is not None:
        parser.add_argument("--resume", metavar=metavar, help=resume)


def add_trust_and_json(
    parser: argparse.ArgumentParser, json: str = "a list of one object", trust: str = _TRUST
) -> None:
    """Add ``--trust`` and ``--json``, and take overrides."""
    parser.add_argument("--trust", action="store_true", help=trust)
    parser.add_argument("--json", action="store_true", help=json)
    parser.set_defaults(takes_overrides=True)


def overrides_of(options: argparse.Namespace) -> dict[str, Any]:
    """The overrides that the words, ``--seed``, ``--compile`` and ``--budget`` ask for.

    Raises:
        UsageError: a word is not an option, or an option has no value.
    """
    overrides: dict[str, Any] = dict(read_overrides(options.rest))
    if options.seed is not None:
        overrides["seed"] = options.seed
    if options.compile:
        overrides["trainer.compile"] = "true"
    if getattr(options, "budget", None):
        overrides["budget"] = ",".join(options.budget)
    return overrides


def known_recipe(reference: str, overrides: dict[str, Any]) -> tuple[Recipe, Recipe]:
    """A recipe as it is written, and with the overrides.

    Raises:
        UsageError: it cannot be read, or its model or dataset is not registered; before anything
            imports torch.
    """
    recipe = read_recipe(reference)
    asked = override(recipe, overrides)
    registry().model(asked.model_name)
    registry().dataset(asked.data_name)
    return recipe, asked
