"""What a model costs that a name or a place stands for."""

from __future__ import annotations

import fnmatch
from pathlib import Path

from zoo.bundles.cost import Cost, model_cost
from zoo.bundles.load import load
from zoo.errors import UsageError
from zoo.recipes.create import create_model
from zoo.recipes.experiment import resolve
from zoo.recipes.recipe import read_recipe
from zoo.registry.registry import registry
from zoo.runs.run import Run


def cost_of(reference: str) -> Cost:
    """Parameters, operations and memory of a model.

    Args:
        reference: What ``zoo.load`` takes; a recipe, whose data have to be there; or a model whose
            constructor needs no argument, built with its defaults.

    Raises:
        UsageError: there is no such model, or what it is built from is not known.
    """
    known = registry()
    if _is_trained(reference):
        return model_cost(load(reference))
    if reference in known.recipes or reference.endswith((".yaml", ".yml")):
        experiment = resolve(read_recipe(reference))
        data = experiment.build_data()
        data.prepare_data()
        return model_cost(experiment.with_facts(dict(data.facts)).build_model())
    known.model(reference)
    try:
        return model_cost(create_model(reference))
    except UsageError as error:
        raise UsageError(
            f"what {reference!r} costs depends on its data ({error}): name a recipe"
            f"{_such_as(reference)}, or a run"
        ) from error


def _is_trained(reference: str) -> bool:
    path = Path(reference)
    return (
        "://" in reference
        or reference.startswith("recipe:")
        or reference.endswith(".ckpt")
        or reference in registry().checkpoints
        or Run(path).recipe_file.is_file()
        or (path / "bundle.json").is_file()
    )


def _such_as(model: str) -> str:
    for name, path in registry().recipes.items():
        try:
            if fnmatch.fnmatchcase(read_recipe(path).model_name, model):
                return f", such as `zoo info {name} --cost`"
        except UsageError:
            continue
    return ""
