"""One YAML file that is one experiment: find it, read its form, override values.

Nothing in it is compared with the classes that it names; ``zoo.recipes.experiment`` does that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from zoo.errors import MOST_FAULTS, UsageError, format_problems, nearest, shown
from zoo.io.failures import system_failure
from zoo.io.plain_yaml import read_yaml_file
from zoo.io.yaml_events import YAMLFault
from zoo.recipes.budget import read_budget
from zoo.registry.registry import registry

SECTIONS = ("about", "seed", "model", "data", "trainer", "budget", "init_from", "fold")


@dataclass(frozen=True)
class Recipe:
    """A recipe as written; nothing in it is checked against the classes it names.

    Attributes:
        name: ``family/name``, or the stem of the file.
        model_name: Name of the registered model.
        data_name: Name of the registered dataset.
        about: Summary, paper, the target to reach and its source.
        seed: Seed of everything random.
        model: Constructor arguments of the model.
        data: Constructor arguments of the dataset.
        trainer: Settings of the Lightning Trainer.
        budget: Limits by unit that model or data count, of which the first reached ends the
            training; empty for none.
        init_from: The weights to start from (``zoo.training.warm_start.InitFrom``); empty for none.
        fold: The fold of a cross-validation that this is (``zoo.plugin.Fold``); empty for none.
        path: The file; None for a recipe made in memory.
        source: Where values come from that are not to be trusted with running code: ``the bundle
            NAME`` or ``the recipe FILE``; empty for a registered recipe and the user's own.
        typed: Values that the user gave in addition, as text.
        overridden: The dotted keys of these values.
    """

    name: str
    model_name: str
    data_name: str
    about: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    model: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    trainer: Mapping[str, Any] = field(default_factory=dict)
    budget: Mapping[str, int] = field(default_factory=dict)
    init_from: Mapping[str, Any] = field(default_factory=dict)
    fold: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    source: str = ""
    typed: tuple[str, ...] = ()
    overridden: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The recipe in the form of its file."""
        return {
            "about": dict(self.about),
            "seed": self.seed,
            "model": {"name": self.model_name, **self.model},
            "data": {"name": self.data_name, **self.data},
            "trainer": dict(self.trainer),
            **({"budget": dict(self.budget)} if self.budget else {}),
            **({"init_from": dict(self.init_from)} if self.init_from else {}),
            **({"fold": dict(self.fold)} if self.fold else {}),
        }

    def to_yaml(self) -> str:
        """The recipe as the text of a YAML file."""
        return yaml.safe_dump(self.as_dict(), sort_keys=False, allow_unicode=True, width=100)


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
    recipe = make_recipe(read_recipe_file(path), name, path)
    registered = registry().recipes.values()
    # To resolve a path asks the disk: only of files that are not named as they are registered.
    if path in registered or path.resolve() in (known.resolve() for known in registered):
        return recipe
    return replace(recipe, source=f"the recipe {path}")


def read_recipe_file(path: Path) -> dict[str, Any]:
    """The content of a recipe's file.

    Raises:
        UsageError: it cannot be read, is not YAML of plain values, or not a mapping.
    """
    try:
        content = read_yaml_file(path)
    except YAMLFault as error:
        raise UsageError(f"the recipe {path} cannot be read: {error}") from error
    except OSError as error:
        raise UsageError(system_failure(error, "the recipe cannot be read")) from error
    if not isinstance(content, dict):
        raise UsageError(f"the recipe {path} is not a mapping with the keys {', '.join(SECTIONS)}")
    return content


def make_recipe(content: Mapping[str, Any], name: str, path: Path | None = None) -> Recipe:
    """A recipe from the content of its file.

    Raises:
        UsageError: unknown sections, or sections of the wrong form: all of them at once.
    """
    problems: list[str] = []
    for key in content:
        if key not in SECTIONS:
            near = nearest(str(key), SECTIONS, 1) if len(problems) < MOST_FAULTS else ""
            hint = f"; did you mean {near}?" if near else f" ({', '.join(SECTIONS)})"
            problems.append(f"{shown(key)} is not part of a recipe{hint}")
    sections: dict[str, dict[str, Any]] = {}
    for key in ("about", "model", "data", "trainer", "init_from", "fold"):
        value = {} if content.get(key) is None else content[key]
        if key == "init_from" and isinstance(value, str):  # `init_from: mpcnn-digits`
            value = {"reference": value}
        if not isinstance(value, dict):
            problems.append(f"{key!r} has to be a mapping, not {shown(value)}")
            value = {}
        problems += [
            f"'{key}' has the key {shown(each)}, which is not a text: put it in quotes"
            for each in value
            if not isinstance(each, str)
        ]
        sections[key] = dict(value)
    for key in ("model", "data"):
        if not isinstance(sections[key].get("name"), str):
            problems.append(f"'{key}.name' is missing: the name of a registered {key}")
    seed, fault = _read_seed(content.get("seed", 0))
    budget, faults = read_budget(content.get("budget"))
    problems += fault + faults
    if problems:
        raise UsageError(format_problems(f"the recipe {path or name}", problems))
    return Recipe(
        name=name,
        model_name=sections["model"].pop("name"),
        data_name=sections["data"].pop("name"),
        about=sections["about"],
        seed=seed,
        model=sections["model"],
        data=sections["data"],
        trainer=sections["trainer"],
        budget=budget,
        init_from=sections["init_from"],
        fold=sections["fold"],
        path=path,
    )


def override(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe with values replaced.

    Args:
        recipe: The recipe to start from.
        changes: Dotted keys (``model.lr``, ``data.root``, ``trainer.max_epochs``, ``seed``,
            ``budget``) to values. Naming another model or dataset (``model.name``, ``data.name``)
            starts its section afresh.

    Raises:
        UsageError: a key is not of that form.
    """
    sections = {"model": dict(recipe.model), "data": dict(recipe.data)}
    sections |= {"trainer": dict(recipe.trainer), "init_from": dict(recipe.init_from)}
    names = {"model": recipe.model_name, "data": recipe.data_name}
    for section, old in names.items():
        new = str(changes.get(f"{section}.name", old))
        if new != old:
            names[section], sections[section] = new, {}
    seed, problems = recipe.seed, []
    budget, faults = _changed_budget(recipe, changes)
    problems += faults
    for key, value in changes.items():
        section, _, rest = key.partition(".")
        if section == "budget":
            continue
        if key == "seed":
            seed, fault = _read_seed(value)
            problems += fault
        elif section in sections and rest:
            if not (section in names and rest == "name"):
                _put(sections[section], rest.split("."), value)
        else:
            near = nearest(section, ("seed", "budget", *sections), 1).strip("'")
            example = near if near in ("seed", "budget") else f"{near or 'model'}.KEY"
            problems.append(f"'--{key}' is not a setting of a recipe; did you mean '--{example}'?")
    if problems:
        raise UsageError(format_problems("the command", problems))
    return replace(
        recipe,
        typed=(*recipe.typed, *map(str, changes.values())),
        overridden=(*recipe.overridden, *changes),
        seed=seed,
        model_name=names["model"],
        data_name=names["data"],
        model=sections["model"],
        data=sections["data"],
        trainer=sections["trainer"],
        budget=budget,
        init_from=sections["init_from"],
        fold=recipe.fold if names["data"] == recipe.data_name else {},  # it is of other data
    )


def _changed_budget(recipe: Recipe, changes: Mapping[str, Any]) -> tuple[dict[str, int], list[str]]:
    """``budget`` takes the place of the recipe's whole budget, ``budget.UNIT`` of one limit."""
    whole, faults = read_budget(changes.get("budget", recipe.budget))
    prefix = "budget."
    single = {k.removeprefix(prefix): v for k, v in changes.items() if k.startswith(prefix)}
    limits, more = read_budget(single)
    return whole | limits, faults + more


def _read_seed(value: Any) -> tuple[int, list[str]]:
    try:
        seed = -1 if isinstance(value, bool | float) else int(value)
    except (TypeError, ValueError):
        seed = -1
    if not 0 <= seed < 2**32:  # what numpy takes
        return 0, [f"'seed' has to be a whole number from 0 to 4294967295, not {shown(value)}"]
    return seed, []


def _put(section: dict[str, Any], path: list[str], value: Any) -> None:
    """Set a nested value without touching the mappings of the recipe it came from."""
    *parents, last = path
    for place, parent in enumerate(parents):
        inner = section.get(parent)
        if isinstance(inner, str):  # `--trainer.logger CSVLogger --trainer.logger.save_dir logs`
            inner = {"class_path": inner}
        section[parent] = dict(inner) if isinstance(inner, Mapping) else {}
        section = section[parent]
        following = path[place + 1]
        if "class_path" in section and following not in ("class_path", "init_args"):
            section["init_args"] = dict(section.get("init_args") or {})
            section = section["init_args"]
    section[last] = value
