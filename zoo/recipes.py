"""Find, read, override and check a recipe: one YAML file that is one experiment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from zoo.arguments import argument_names, build, defaults, describe, read_arguments, together
from zoo.entries import Dataset
from zoo.errors import UsageError
from zoo.registry import Found, nearest, registry

SECTIONS = ("about", "seed", "model", "data", "trainer", "start")
RUN_DECIDES = frozenset({"default_root_dir", "enable_checkpointing", "barebones", "fast_dev_run"})
"""Trainer arguments that would contradict the run folder."""


@dataclass(frozen=True)
class Recipe:
    """A recipe as written; nothing in it is checked against the classes it names.

    Attributes:
        name: ``family/name``, or the stem of the file.
        model_name: Name of the registered model.
        data_name: Name of the registered dataset.
        about: Summary, paper, figure to reach and its source.
        seed: Seed of everything random.
        model: Constructor arguments of the model.
        data: Constructor arguments of the dataset.
        trainer: Settings of the Lightning Trainer.
        start: The weights to start from (``zoo.starting.Start``); empty for a fresh start.
        path: The file; None for a recipe made in memory.
    """

    name: str
    model_name: str
    data_name: str
    about: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    model: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    trainer: Mapping[str, Any] = field(default_factory=dict)
    start: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        """The recipe in the form of its file."""
        return {
            "about": dict(self.about),
            "seed": self.seed,
            "model": {"name": self.model_name, **self.model},
            "data": {"name": self.data_name, **self.data},
            "trainer": dict(self.trainer),
            **({"start": dict(self.start)} if self.start else {}),
        }

    def to_yaml(self) -> str:
        """The recipe as the text of a YAML file."""
        return yaml.safe_dump(self.as_dict(), sort_keys=False, allow_unicode=True, width=100)


@dataclass(frozen=True)
class Experiment:
    """A recipe whose names are resolved and whose keys and values are checked.

    Attributes:
        recipe: The resolved recipe; running it repeats the experiment.
        model: The model's entry and what its name stands for.
        dataset: The dataset's entry.
    """

    recipe: Recipe
    model: Found
    dataset: Dataset

    def build_data(self) -> Any:
        """The LightningDataModule."""
        return registry().load(self.dataset)(**self.recipe.data)

    def build_model(self, facts: Mapping[str, Any]) -> Any:
        """The LightningModule, with the facts of the data where the recipe says nothing.

        Raises:
            UsageError: a required argument is neither in the recipe nor among the facts.
        """
        return build_model(self.model, self.recipe.model, facts)

    def settle(self, facts: Mapping[str, Any]) -> Experiment:
        """The same experiment with the model's defaults written out, so that its recipe is the
        whole of it; what the facts of the data decide stays with them."""
        rest = defaults(registry().load(self.model.entry), self.model.arguments)
        rest = {key: value for key, value in rest.items() if key not in facts}
        return replace(self, recipe=replace(self.recipe, model={**rest, **self.recipe.model}))


def read_recipe(reference: str | Path) -> Recipe:
    """Read a recipe given by its name or its file.

    Only its form is checked; no model or dataset is imported.

    Raises:
        UsageError: no such recipe, not YAML, or not of a recipe's form.
    """
    text, path = str(reference), Path(reference)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise UsageError(f"there is no recipe file {text!r}")
        name = path.stem
    else:
        name, path = text, registry().recipe(text)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"the recipe {path} cannot be read: {reason}") from error
    if not isinstance(content, dict):
        raise UsageError(f"the recipe {path} is not a mapping with the keys {', '.join(SECTIONS)}")
    return make_recipe(content, name, path)


def make_recipe(content: Mapping[str, Any], name: str, path: Path | None = None) -> Recipe:
    """A recipe from the content of its file.

    Raises:
        UsageError: unknown sections, or sections of the wrong form: all of them at once.
    """
    problems = []
    for key in content:
        if key not in SECTIONS:
            near = nearest(str(key), SECTIONS, 1)
            hint = f"; did you mean {near}?" if near else f" ({', '.join(SECTIONS)})"
            problems.append(f"{key!r} is no part of a recipe{hint}")
    sections: dict[str, dict[str, Any]] = {}
    for key in ("about", "model", "data", "trainer", "start"):
        value = {} if content.get(key) is None else content[key]
        if not isinstance(value, dict):
            problems.append(f"{key!r} has to be a mapping, not {value!r}")
            value = {}
        sections[key] = dict(value)
    for key in ("model", "data"):
        if not isinstance(sections[key].get("name"), str):
            problems.append(f"'{key}.name' is missing: the name of a registered {key}")
    seed, fault = _read_seed(content.get("seed", 0))
    problems += fault
    if problems:
        raise UsageError(together(f"the recipe {path or name}", problems))
    return Recipe(
        name=name,
        model_name=sections["model"].pop("name"),
        data_name=sections["data"].pop("name"),
        about=sections["about"],
        seed=seed,
        model=sections["model"],
        data=sections["data"],
        trainer=sections["trainer"],
        start=sections["start"],
        path=path,
    )


def override(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe with values replaced.

    Args:
        recipe: The recipe to start from.
        changes: Dotted keys (``model.lr``, ``data.root``, ``trainer.max_epochs``, ``seed``) to
            values. Naming another model or dataset (``model.name``, ``data.name``) starts its
            section afresh.

    Raises:
        UsageError: a key is not of that form.
    """
    sections = {"model": dict(recipe.model), "data": dict(recipe.data)}
    sections |= {"trainer": dict(recipe.trainer), "start": dict(recipe.start)}
    names = {"model": recipe.model_name, "data": recipe.data_name}
    for section, old in names.items():
        new = str(changes.get(f"{section}.name", old))
        if new != old:
            names[section], sections[section] = new, {}
    seed, problems = recipe.seed, []
    for key, value in changes.items():
        section, _, rest = key.partition(".")
        if key == "seed":
            seed, fault = _read_seed(value)
            problems += fault
        elif section in sections and rest:
            if not (section in names and rest == "name"):
                _put(sections[section], rest.split("."), value)
        else:
            near = nearest(section, ("seed", *sections), 1).strip("'")
            example = near if near == "seed" else f"{near or 'model'}.KEY"
            problems.append(f"'--{key}' is no setting of a recipe; did you mean '--{example}'?")
    if problems:
        raise UsageError(together("the command", problems))
    return replace(
        recipe,
        seed=seed,
        model_name=names["model"],
        data_name=names["data"],
        model=sections["model"],
        data=sections["data"],
        trainer=sections["trainer"],
        start=sections["start"],
    )


def check(recipe: Recipe) -> Experiment:
    """Resolve the two names, then check every key and value against the classes they name.

    The defaults of the dataset are written out; those of the model only once the facts of the
    data are known (``Experiment.settle``), which come before them.

    Raises:
        UsageError: every wrong key with its nearest right one, and every wrong value, at once.
    """
    found = registry().model(recipe.model_name)
    dataset = registry().dataset(recipe.data_name)
    model_class = registry().load(found.entry)
    data_class = registry().load(dataset)
    from lightning.pytorch import Trainer

    model, problems = read_arguments(model_class, "model", recipe.model, found.arguments)
    data, faults = read_arguments(data_class, "data", recipe.data)
    problems += faults
    trainer, faults = read_arguments(Trainer, "trainer", recipe.trainer, RUN_DECIDES)
    problems += faults
    if problems:
        raise UsageError(together(f"the recipe {recipe.path or recipe.name}", problems))
    data = {**defaults(data_class), **data}
    arguments = argument_names(data_class)
    if "seed" in arguments and "seed" not in recipe.data:
        data["seed"] = recipe.seed
    if "root" in arguments and "root" not in recipe.data:
        data["root"] = str(data_folder(dataset.name))
    model = {key: value for key, value in model.items() if value is not None}
    return Experiment(replace(recipe, model=model, data=data, trainer=trainer), found, dataset)


def build_model(found: Found, arguments: Mapping[str, Any], facts: Mapping[str, Any]) -> Any:
    """Build a registered model; arguments not given are taken from the facts where they have
    that name.

    Raises:
        UsageError: an argument is unknown, missing, or has a value of the wrong type.
    """
    model_class = registry().load(found.entry)
    names = argument_names(model_class, found.arguments)
    known = {key: value for key, value in facts.items() if key in names}
    return build(model_class, {**known, **arguments}, f"model {found.name!r}", found.arguments)


def describe_arguments(recipe: Recipe) -> str:
    """Help for exactly the arguments of the recipe's model and dataset, from their docstrings."""
    found = registry().model(recipe.model_name)
    classes = {
        "model": (registry().load(found.entry), tuple(found.arguments)),
        "data": (registry().load(registry().dataset(recipe.data_name)), ()),
    }
    return describe(classes, f"zoo train {recipe.name} [--KEY VALUE ...]")


def data_folder(dataset: str) -> Path:
    """Where a dataset is looked for unless told otherwise: ``$ZOO_DATA/<dataset>``, or
    ``data/<dataset>`` in the working directory."""
    return Path(os.environ.get("ZOO_DATA", "data")) / dataset


def _read_seed(value: Any) -> tuple[int, list[str]]:
    try:
        seed = -1 if isinstance(value, bool | float) else int(value)
    except (TypeError, ValueError):
        seed = -1
    if not 0 <= seed < 2**32:  # what numpy takes
        return 0, [f"'seed' has to be a whole number from 0 to 4294967295, not {value!r}"]
    return seed, []


def _put(section: dict[str, Any], path: list[str], value: Any) -> None:
    """Set a nested value without touching the mappings of the recipe it came from."""
    *parents, last = path
    for parent in parents:
        inner = section.get(parent)
        section[parent] = dict(inner) if isinstance(inner, Mapping) else {}
        section = section[parent]
    section[last] = value
