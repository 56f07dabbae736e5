"""Recipes that start from one another's bundles: ``recipe:NAME`` is the newest finished run of a
recipe, as a reference of ``init_from``, of arguments that name a trained model, and of every
command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
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
    require_finished([str(reference)])
    found = newest_finished(_name(str(reference).removeprefix(PREFIX)), RUNS)
    assert found is not None
    return found


def with_runs(recipe: Recipe) -> Recipe:
    """A recipe whose arguments name the runs that they mean, in place of ``recipe:NAME``."""
    from zoo.recipes.references import with_references  # loads more than a command that only reads

    return with_references(
        recipe, lambda each: str(run_of(each).path) if each.startswith(PREFIX) else each
    )


def require_earlier_stages(recipe: Recipe, init_from: bool = True) -> None:
    """Refuse a recipe that names other recipes of which no run is finished.

    Args:
        recipe: Its section ``init_from`` and its arguments are looked at.
        init_from: Whether it still needs the weights that it starts from.

    Raises:
        UsageError: as of ``run_of``, for all of them at once, or the recipes wait for one another.
    """
    require_finished(each for key, each in _stages(recipe) if init_from or key != _INIT_FROM)


def require_finished(references: Iterable[str]) -> None:
    """Refuse references to recipes of which no run is finished.

    Raises:
        UsageError: the sentence has the commands that make them, in order.
    """
    waiting = {each: list(_commands(each, ())) for each in references if each.startswith(PREFIX)}
    waiting = {each: commands for each, commands in waiting.items() if commands}
    if not waiting:
        return
    commands = " && ".join(dict.fromkeys(chain.from_iterable(waiting.values())))
    asked = " and ".join(waiting)
    names = " and ".join(repr(_name(each.removeprefix(PREFIX))) for each in waiting)
    one = len(waiting) == 1
    if " --resume " in commands:
        raise UsageError(
            f"{asked}: no run of the recipe{'' if one else 's'} {names} under {RUNS}/ is finished: "
            f"{'continue the newest' if one else 'make them'} with `{commands}`"
        )
    raise UsageError(
        f"{asked}: there is no run of the recipe{'' if one else 's'} {names} under {RUNS}/: "
        f"make {'it' if one else 'them'} first with `{commands}`"
    )


_INIT_FROM = "init_from.reference"


def _stages(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Where a recipe names trained models, and the references."""
    from zoo.recipes.references import references

    yield _INIT_FROM, str(recipe.init_from.get("reference", ""))
    yield from references(recipe)


def _commands(reference: str, later: tuple[str, ...]) -> Iterator[str]:
    """What makes the run that a reference names, in order; nothing if it is there."""
    if not reference.startswith(PREFIX):
        return
    asked = reference.removeprefix(PREFIX)
    if newest_finished(_name(asked), RUNS):
        return
    if asked in later:
        circle = " -> ".join([*later[later.index(asked) :], asked])
        raise UsageError(f"these recipes start from one another in a circle: {circle}")
    begun = newest_unfinished(_name(asked), RUNS)
    if begun is not None:
        yield f"zoo train {asked} --resume {begun.path}"
        return
    for _, earlier in _stages(read_recipe(asked)):
        yield from _commands(earlier, (*later, asked))
    yield f"zoo train {asked}"


def _name(asked: str) -> str:
    return Path(asked).stem if asked.endswith((".yaml", ".yml")) else asked
