"""Recipes that start from one another's bundles: ``recipe:NAME`` is the newest finished run of a
recipe, as a reference of ``init_from`` and of every command."""

from __future__ import annotations

from pathlib import Path

from zoo.errors import UsageError
from zoo.recipes.recipe import Recipe, read_recipe
from zoo.runs.run import RUNS, Run, newest_finished, newest_unfinished

PREFIX = "recipe:"


def run_of(reference: str | Path) -> Run:
    """The run that a reference names: by its folder, or by its recipe.

    Args:
        reference: A folder, which need not exist, or ``recipe:NAME`` with a recipe's name or YAML
            file.

    Raises:
        UsageError: no run of the recipe is finished; the sentence has the commands that make one.
    """
    if not str(reference).startswith(PREFIX):
        return Run(Path(reference))
    asked = str(reference).removeprefix(PREFIX)
    name = _name(asked)
    if found := newest_finished(name, RUNS):
        return found
    begun = newest_unfinished(name, RUNS)
    if begun is not None:
        raise UsageError(
            f"{reference}: no run of the recipe {name!r} under {RUNS}/ is finished: continue the "
            f"newest with `zoo train {asked} --resume {begun.path}`"
        )
    commands = " && ".join(f"zoo train {each}" for each in _missing(read_recipe(asked), asked, ()))
    raise UsageError(
        f"{reference}: there is no run of the recipe {name!r} under {RUNS}/: make it first with "
        f"`{commands}`"
    )


def require_earlier_stage(recipe: Recipe) -> None:
    """Refuse a recipe whose ``init_from`` names another one that has no finished run.

    Raises:
        UsageError: as of ``run_of``, or the recipes wait for one another.
    """
    reference = str(recipe.init_from.get("reference", ""))
    if reference.startswith(PREFIX):
        run_of(reference)


def _missing(recipe: Recipe, asked: str, later: tuple[str, ...]) -> list[str]:
    """The recipes to train, in order, up to this one."""
    if asked in later:
        chain = " -> ".join([*later[later.index(asked) :], asked])
        raise UsageError(f"these recipes start from one another in a circle: {chain}")
    reference = str(recipe.init_from.get("reference", ""))
    before = reference.removeprefix(PREFIX)
    if not reference.startswith(PREFIX) or newest_finished(_name(before), RUNS):
        return [asked]
    return [*_missing(read_recipe(before), before, (*later, asked)), asked]


def _name(asked: str) -> str:
    return Path(asked).stem if asked.endswith((".yaml", ".yml")) else asked
