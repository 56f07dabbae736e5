"""Checks of a recipe: it states its source, its keys and values are right, and it trains."""

from __future__ import annotations

import math

from zoo.bundles.stages import PREFIX
from zoo.recipes.experiment import resolve as check_recipe
from zoo.recipes.recipe import Recipe, read_recipe
from zoo.recipes.references import references
from zoo.testing.check import check
from zoo.testing.results import CheckFailed
from zoo.testing.stages import train_quickly
from zoo.testing.subjects import RecipeSubject

_STATED = ("summary", "paper", "source")


@check(
    "recipe-keys",
    "recipe",
    why="a recipe with a wrong key is found out by the user who runs it",
    remedy="correct what is named; `zoo train RECIPE --help` lists the arguments",
)
def recipe_keys(subject: RecipeSubject) -> None:
    """It parses, and every key and value fits the classes it names."""
    experiment = check_recipe(subject.read())
    _require_references(experiment.recipe)
    trainer = experiment.recipe.trainer
    if not trainer.get("max_epochs") and not trainer.get("max_steps") and "max_time" not in trainer:
        raise CheckFailed("'trainer' says neither max_epochs nor max_steps: it would end by chance")


def _require_references(recipe: Recipe) -> None:
    """What is written as ``recipe:NAME`` is a recipe, in an argument that may name one."""
    known = {key for key, _ in references(recipe)}
    for section, values in (("model", recipe.model), ("data", recipe.data)):
        for name, value in values.items():
            key = f"{section}.{name}"
            if str(value).startswith(PREFIX) and key not in known:
                raise CheckFailed(f"{key} is {value!r}, and its type is not zoo.plugin.Reference")
    stages = [*(each for _, each in references(recipe)), str(recipe.init_from.get("reference"))]
    for each in stages:
        if each.startswith(PREFIX):
            read_recipe(each.removeprefix(PREFIX))


@check(
    "recipe-sourced",
    "recipe",
    why="a target without a source is a rumour, and without a target nobody can tell success",
    remedy="fill `about`: summary, paper, source (where the target comes from) and target: "
    "{metric: test/..., value: NUMBER}, or val/average_... for a mean over all evaluations of a "
    "training; value: null where the data are a user's own",
)
def recipe_sourced(subject: RecipeSubject) -> None:
    """``about`` has a summary, a paper, a target to reach and its source."""
    about = subject.recipe.about
    missing = [name for name in _STATED if not str(about.get(name) or "").strip()]
    if missing:
        raise CheckFailed(f"about lacks {', '.join(missing)}")
    target = about.get("target")
    if not isinstance(target, dict) or not {"metric", "value"} <= target.keys():
        raise CheckFailed("about.target is missing, or is not {metric: ..., value: ...}")
    # Papers on agents also state the mean over all evaluations of a training.
    if not str(target["metric"]).startswith(("test/", "val/average_")):
        raise CheckFailed(
            f"about.target.metric is {target['metric']!r}, which is not a metric of the test"
        )
    value = target["value"]
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is not None and not (number and math.isfinite(value)):
        raise CheckFailed(f"about.target.value is {value!r}, which is not a number")


@check(
    "recipe-trains",
    "recipe",
    why="a recipe that was not run is a guess",
    remedy="run `zoo train RECIPE --trainer.max_epochs 1` and see",
)
def recipe_trains(subject: RecipeSubject) -> str:
    """A step of it through ``zoo.train``, to test and bundle, logs the metric of its target."""
    recipe = subject.recipe
    if "root" not in recipe.data:
        subject.data.require()
    run = train_quickly(recipe, subject.folder("run"))
    metric = recipe.about.get("target", {}).get("metric")
    if metric and metric not in run.metrics:
        raise CheckFailed(
            f"it logs no {metric}, the metric of its target, but {', '.join(run.metrics)}"
        )
    return f"one step on {recipe.data_name}"
