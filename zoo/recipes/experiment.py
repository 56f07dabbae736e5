"""A recipe whose names are resolved and whose keys and values are checked against signatures."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from zoo.errors import UsageError, ZooError, format_problems
from zoo.io.data_folder import data_folder
from zoo.io.failures import asks_too_much
from zoo.plugin.declarations import (
    current_arguments,
    not_foldable,
    planned_arguments,
    trainer_defaults,
)
from zoo.plugin.entries import Dataset
from zoo.plugin.folds import Fold
from zoo.plugin.protocols import Foldable
from zoo.plugin.trust import values_from
from zoo.recipes.object_arguments import object_fault
from zoo.recipes.recipe import Recipe
from zoo.recipes.signatures import (
    argument_names,
    build,
    defaults,
    describe,
    missing_arguments,
    read_arguments,
)
from zoo.registry.registry import ResolvedModel, registry

if TYPE_CHECKING:
    from lightning.pytorch import LightningDataModule

    from zoo.plugin.protocols import ZooLightningDataModule, ZooLightningModule

_LARGE = re.compile(r"(?<![\d.])\d{4}")

RESERVED_TRAINER_ARGUMENTS = {
    "default_root_dir": "a run has its folder, which --out names",
    "enable_checkpointing": "a run keeps its checkpoints, from which --resume continues",
    "barebones": "it leaves out the checkpoints and metrics that a run consists of",
}
"""Trainer arguments that would contradict the run folder, and why."""


@dataclass(frozen=True)
class Experiment:
    """A recipe whose names are resolved and whose keys and values are checked.

    Attributes:
        recipe: The resolved recipe; running it repeats the experiment.
        model: The model's entry and what its name stands for.
        dataset: The dataset's entry.
        facts: What the data know of themselves; empty before they were asked.
    """

    recipe: Recipe
    model: ResolvedModel
    dataset: Dataset
    facts: Mapping[str, Any] = field(default_factory=dict)

    def build_data(self) -> ZooLightningDataModule:
        """The LightningDataModule, told the recipe's fold if it has one.

        Raises:
            UsageError: the recipe has a fold, and the dataset cannot be divided.
        """
        with values_from(self.recipe.source, self.recipe.typed):
            data: ZooLightningDataModule = registry().load(self.dataset)(**self.recipe.data)
        if self.recipe.fold:
            require_foldable(data, self.recipe.data_name).use_fold(Fold.read(self.recipe.fold))
        return data

    def build_model(self) -> ZooLightningModule:
        """The LightningModule, with the facts of the data where the recipe says nothing.

        Raises:
            UsageError: a required argument is neither in the recipe nor among the facts.
        """
        with values_from(self.recipe.source, self.recipe.typed):
            return build_model(self.model, self.recipe.model, self.facts)

    def with_facts(self, facts: Mapping[str, Any]) -> Experiment:
        """The same experiment on data of these facts: the model's defaults are written out, so
        that the recipe is the whole of it; what the facts decide stays with them."""
        rest = defaults(registry().load(self.model.entry), self.model.arguments)
        rest = {key: value for key, value in rest.items() if key not in facts}
        recipe = replace(self.recipe, model={**rest, **self.recipe.model})
        return replace(self, recipe=recipe, facts=dict(facts))

    def with_plan(self, data: LightningDataModule) -> Experiment:
        """The same experiment with what its data, once prepared, have chosen for themselves."""
        chosen = planned_arguments(data)
        if not chosen:
            return self
        recipe = replace(self.recipe, data={**self.recipe.data, **chosen})
        return replace(self, recipe=recipe)


def resolve(recipe: Recipe) -> Experiment:
    """Resolve the two names, then check every key and value against the classes they name.

    The defaults of the dataset are written out; those of the model only once the facts of the
    data are known (``Experiment.with_facts``), which come before them.

    Raises:
        UsageError: every wrong key with its nearest right one, and every wrong value, at once.
    """
    found = registry().model(recipe.model_name)
    dataset = registry().dataset(recipe.data_name)
    model_class = registry().load(found.entry)
    data_class = registry().load(dataset)
    from zoo.recipes.trainer import Trainer

    model, problems = read_arguments(model_class, "model", recipe.model, found.arguments)
    data, faults = read_arguments(data_class, "data", recipe.data)
    problems += faults
    trainer, faults = read_arguments(
        Trainer, "trainer", recipe.trainer, refused=RESERVED_TRAINER_ARGUMENTS
    )
    problems += faults
    if problems:
        raise UsageError(format_problems(f"the recipe {recipe.path or recipe.name}", problems))
    data = {**defaults(data_class), **data}
    arguments = argument_names(data_class)
    if "seed" in arguments and "seed" not in recipe.data:
        data["seed"] = recipe.seed
    if "root" in arguments and "root" not in recipe.data:
        data["root"] = str(data_folder(dataset.name))
    if missing := missing_arguments(data_class, data):
        raise UsageError(
            f"the data {dataset.name!r}: "
            + (
                object_fault(data_class, missing)
                or f"{', '.join(missing)} has no value: add it, for example with "
                f"--data.{missing[0]} VALUE"
            )
        )
    if fault := object_fault(model_class, missing_arguments(model_class, model)):
        raise UsageError(f"the model {found.name!r}: {fault}")
    model = {key: value for key, value in model.items() if value is not None}
    return Experiment(replace(recipe, model=model, data=data, trainer=trainer), found, dataset)


def require_foldable(data: object, name: str) -> Foldable:
    """The datamodule, if it can be divided into folds.

    Raises:
        UsageError: it cannot; the sentence says why.
    """
    if isinstance(data, Foldable):
        return data
    why = not_foldable(data) or "its class does not list the samples (fold_samples, use_fold)"
    raise UsageError(f"the data {name!r} cannot be divided into folds: {why}")


def with_trainer_defaults(recipe: Recipe) -> Recipe:
    """A recipe with the Trainer settings that its model's class asks for where it says nothing."""
    model = registry().load(registry().model(recipe.model_name).entry)
    return replace(recipe, trainer={**trainer_defaults(model), **recipe.trainer})


def with_current_names(recipe: Recipe) -> Recipe:
    """A recipe that an earlier version saved, with the names that its classes use now."""
    model = registry().model(recipe.model_name).entry
    data = registry().dataset(recipe.data_name)
    return replace(
        recipe,
        model=current_arguments(registry().load(model), recipe.model),
        data=current_arguments(registry().load(data), recipe.data),
    )


def build_model(
    found: ResolvedModel, arguments: Mapping[str, Any], facts: Mapping[str, Any]
) -> ZooLightningModule:
    """Build a registered model; arguments not given are taken from the facts where they have
    that name.

    Raises:
        UsageError: an argument is unknown, missing, or has a value of the wrong type, or all of
            them ask for more memory than there is.
    """
    model_class = registry().load(found.entry)
    names = argument_names(model_class, found.arguments)
    known = {key: value for key, value in facts.items() if key in names}
    given = {**known, **arguments}
    what = f"model {found.name!r}"
    try:
        model: ZooLightningModule = build(model_class, given, what, found.arguments)
    except Exception as error:
        if isinstance(error, ZooError) or not asks_too_much(error):
            raise
        raise UsageError(
            f"the {what} cannot be built: it would need more memory than there is with "
            f"{_largest(given)}; choose smaller values"
        ) from error
    from zoo.io.dynamic_tensors import take_shapes_when_loading  # these load torch
    from zoo.plugin.metric_names import rename_metrics

    take_shapes_when_loading(model)
    rename_metrics(model)
    return model


def _largest(arguments: Mapping[str, Any]) -> str:
    """Those of the arguments that hold large numbers, or all if there are none."""
    texts = {key: reprlib.repr(value) for key, value in arguments.items()}
    large = {k: texts[k] for k, value in arguments.items() if _LARGE.search(str(value))}
    return ", ".join(f"{key}={text}" for key, text in (large or texts).items())


def describe_arguments(recipe: Recipe) -> str:
    """Help for exactly the arguments of the recipe's model and dataset, from their docstrings."""
    found = registry().model(recipe.model_name)
    classes = {
        "model": (registry().load(found.entry), tuple(found.arguments)),
        "data": (registry().load(registry().dataset(recipe.data_name)), ()),
    }
    return describe(classes, f"zoo train {recipe.name} [--KEY VALUE ...]")
