"""``zoo info NAME``: all that is known about one entry, or one run."""

from __future__ import annotations

import argparse
import dataclasses
import math
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from zoo.cli.info_files import describe_checkpoint, describe_folder
from zoo.cli.output import heading, show, work, wrap
from zoo.errors import UsageError, nearest
from zoo.io.data_folder import data_folder
from zoo.plugin.entries import Checkpoint, Dataset, Model
from zoo.recipes.recipe import read_recipe
from zoo.recipes.records import records_of
from zoo.registry.registry import entry_name, registry


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("info", help="show everything about one entry or run")
    parser.add_argument("name", help="a model, dataset, recipe, checkpoint, plugin, run or bundle")
    parser.add_argument(
        "--cost",
        action="store_true",
        help="measure parameters, FLOPs and memory of one forward pass, with torch",
    )
    parser.add_argument("--json", action="store_true", help="a list of objects")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print every entry of that name; a model and a plugin may share one."""
    found = describe(options.name)
    if options.cost:
        with work(options.json):
            _measure(found, options.name)
    if options.json:
        show(found, as_json=True)
        return
    for each in found:
        print(heading(f"{each['kind']} {each['name']}"))
        for key, value in each.items():
            if key not in ("kind", "name") and value not in ("", None, [], (), {}):
                _print(key, value)


def describe(name: str) -> list[dict[str, Any]]:
    """Every entry of that name, and the run or bundle in a folder of that name.

    Raises:
        UsageError: there is none.
    """
    known = registry()
    folder = describe_folder(Path(name))
    found: list[dict[str, Any]] = [folder] if folder else []
    matched = known.models.get(name) or _family_member(name)
    for kind, entry in (
        ("model", matched),
        ("dataset", known.datasets.get(name)),
        ("checkpoint", known.checkpoints.get(name)),
    ):
        if entry:
            owner = known.owner(entry)
            origin = f"{owner.distribution} {owner.version}"
            more = _more(entry)
            found.append({"kind": kind, **dataclasses.asdict(entry), **more, "plugin": origin})
    if name in known.recipes:
        path = known.recipes[name]
        content = {"name": name, "file": str(path), **read_recipe(path).as_dict()}
        reached = {"measured": _measured(name, path)}
        found.append({"kind": "recipe", **content, **reached, "run": f"zoo train {name}"})
    for plugin in known.plugins:
        if plugin.name == name:
            row = dataclasses.asdict(plugin) | {"state": plugin.state}
            row["entries"] = [entry_name(entry) for entry in plugin.entries]
            found.append({"kind": "plugin", **row})
    if not found:
        for clash in known.clashes:
            if clash.name == name:
                raise UsageError(str(clash))
        everything = {*known.models, *known.datasets, *known.recipes, *known.checkpoints}
        if "/" in name:
            known.recipe(name)  # refuses, with the extra to install where there is one
        near = nearest(name, sorted(everything))
        hint = f"did you mean {near}?" if near else "see `zoo list`"
        raise UsageError(f"nothing is registered under {name!r}: {hint}{known.broken_note()}")
    return found


def _more(entry: Model | Dataset | Checkpoint) -> dict[str, Any]:
    """What other entries and files say of an entry."""
    if isinstance(entry, Checkpoint):
        return describe_checkpoint(entry)
    section = "model" if isinstance(entry, Model) else "data"
    more: dict[str, Any] = {"recipes": _recipes_with(section, entry.name)}
    if isinstance(entry, Dataset) and not entry.embedded:
        folder = data_folder(entry.name)
        more["folder"] = f"{folder}{'' if folder.is_dir() else ' (not there)'}"
    return more


def _measured(recipe: str, path: Path) -> list[str]:
    """What it was measured to reach, by the records beside it."""
    return [
        f"{record.metric} {record.described}, {record.date}, {record.hardware}: {record.command}"
        for record in records_of(recipe, path)
    ]


def _recipes_with(section: str, name: str) -> list[str]:
    """The recipes that name a model or a dataset; broken ones are left to `zoo doctor`."""
    found = []
    for recipe, path in registry().recipes.items():
        try:
            content = getattr(read_recipe(path), f"{section}_name")
        except UsageError:
            continue
        if fnmatchcase(content, name):
            found.append(recipe)
    return found


def _family_member(name: str) -> Any:
    try:
        return registry().model(name).entry
    except UsageError:
        return None


def _measure(found: list[dict[str, Any]], name: str) -> None:
    """Put what the model costs in place of what was noted of it."""
    from zoo.inference.cost import cost_of

    kinds = ("run", "bundle", "checkpoint", "checkpoint file", "recipe", "model")
    asked = [each for each in found if each["kind"] in kinds]
    if not asked:
        raise UsageError(f"{name!r} is not a model, a recipe or a trained model: omit --cost")
    asked[0]["cost"] = cost_of(name).as_dict()


def _print(key: str, value: Any, indent: int = 2) -> None:
    if key == "cost":
        for name, text in _cost(value):
            print(wrap(f"{name}: {text}", indent, indent + 2))
    elif key == "versions":
        text = ", ".join(f"{name} {version}" for name, version in value.items())
        print(wrap(f"{key}: {text}", indent, indent + 2))
    elif isinstance(value, dict):
        print(f"{' ' * indent}{key}:")
        for inner, content in value.items():
            if content not in ("", None, [], (), {}):
                _print(inner, content, indent + 2)
    else:
        text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        print(wrap(f"{key}: {text}", indent, indent + 2))


def _cost(cost: dict[str, Any]) -> list[tuple[str, str]]:
    """What a model costs, in lines: (name, text)."""
    if "numbers" in cost:
        text = f"{cost['numbers']:,} numbers in {cost['tensors']} tensors, buffers included"
        return [("weights", text), ("cost", "not recorded; --cost measures it")]
    text = f"{cost['trainable']:,} trainable, {cost['frozen']:,} frozen"
    lines = [("parameters", f"{text}; {cost['buffers']:,} numbers in buffers")]
    if cost["not_measured"]:
        return [*lines, ("cost", f"not measured: {cost['not_measured']}")]
    shape = cost["example_input"]
    several = bool(shape) and isinstance(shape[0], list)
    shown = " and ".join(" x ".join(map(str, each)) for each in (shape if several else [shape]))
    return [
        *lines,
        ("example input", shown),
        ("forward pass", f"{_scaled(cost['flops'])}FLOPs (a multiplication and an addition are 2)"),
        ("memory", f"{_scaled(cost['memory'])}B of weights and activations, by their shapes"),
    ]


def _scaled(number: int) -> str:
    """A number with the prefix of a unit, such as ``7.57 M``."""
    step = min(int(math.log10(number)) // 3, 5) if number >= 1000 else 0
    return f"{number / 1000**step:.3g} {'kMGTP'[step - 1] if step else ''}"
