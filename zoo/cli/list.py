"""``zoo list``: all that the installed plugins register.

A terminal gets a line an entry, no wider than it is; a pipe and ``--json`` get everything.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zoo.bundles.manifest import read_manifest
from zoo.cli.output import heading, show, table, terminal_width
from zoo.errors import UsageError
from zoo.plugin.entries import Checkpoint
from zoo.recipes.recipe import read_recipe
from zoo.registry.registry import entry_name, package_folder, registry

Rows = list[dict[str, Any]]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("list", help="list what the installed plugins offer")
    parser.add_argument(
        "kind", nargs="?", choices=sorted(KINDS), help="one kind; all but plugins by default"
    )
    parser.add_argument("--json", action="store_true", help="a list of objects")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print entries by kind."""
    kinds = [options.kind] if options.kind else ["models", "datasets", "recipes", "checkpoints"]
    if options.json:
        rows = [{"kind": kind[:-1], **row} for kind in kinds for row in KINDS[kind]()]
        show(rows, as_json=True)
        return
    for position, kind in enumerate(kinds):
        rows = KINDS[kind]()
        if position:
            print()
        if not rows:
            print(f"no {kind}: install a plugin, or see `zoo doctor`")
        elif terminal_width():
            print("\n".join([heading(kind), *brief(kind, rows)]))
        else:
            show(rows, as_json=False, title=kind)
    if terminal_width():
        print("\n`zoo info NAME` shows everything about one of them.")


def brief(kind: str, rows: Rows) -> list[str]:
    """A line an entry for a terminal; recipes stand under their family."""
    if kind == "recipes":
        return brief_recipes(rows)
    if kind == "plugins":
        cells = [
            [row["name"], row["state"], f"{row['distribution']} {row['version']}"] for row in rows
        ]
    else:
        cells = [[row["name"], row["summary"]] for row in rows]
    return table(cells, shorten=-1, indent=2)


def brief_recipes(rows: Rows) -> list[str]:
    """Recipes under the name of their family."""
    lines = []
    for family, members in itertools.groupby(rows, key=lambda row: row["name"].partition("/")[0]):
        cells = [[row["name"].partition("/")[2], row["summary"]] for row in members]
        lines += [f"  {family}/", *table(cells, shorten=-1, indent=4)]
    return lines


def models() -> Rows:
    """Models, families under their pattern."""
    return [
        {"name": e.name, "summary": e.summary, "plugin": registry().owner(e).name}
        for e in registry().models.values()
    ]


def datasets() -> Rows:
    """Datasets."""
    return [
        {
            "name": entry.name,
            "summary": entry.summary,
            "license": entry.license,
            "needs files": "no" if entry.embedded else "yes",
            "plugin": registry().owner(entry).name,
        }
        for entry in registry().datasets.values()
    ]


def recipes() -> Rows:
    """Recipes, with the target of each."""
    rows = []
    for name, path in registry().recipes.items():
        about, model, data = _about(path)
        target = about.get("target") or {}
        value = target.get("value")
        rows.append(
            {
                "name": name,
                "summary": about.get("summary", ""),
                "model": model,
                "data": data,
                "target": f"{target.get('metric')} {value}" if value is not None else "",
            }
        )
    return rows


def checkpoints() -> Rows:
    """Registered checkpoints: size, metric, data, license."""
    return [_checkpoint(entry) for entry in registry().checkpoints.values()]


def plugins() -> Rows:
    """Plugins: distribution, version, API, entries, state."""
    return [
        {
            "name": plugin.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "api": plugin.api,
            "entries": [entry_name(entry) for entry in plugin.entries],
            "state": plugin.state,
        }
        for plugin in registry().plugins
    ]


KINDS: dict[str, Callable[[], Rows]] = {
    "models": models,
    "datasets": datasets,
    "recipes": recipes,
    "checkpoints": checkpoints,
    "plugins": plugins,
}


def _about(path: Path) -> tuple[dict[str, Any], str, str]:
    """The top of a recipe file; one that cannot be read is listed with the reason."""
    try:
        recipe = read_recipe(path)
    except UsageError as error:
        return {"summary": f"cannot be read: {error}"}, "", ""
    return dict(recipe.about), recipe.model_name, recipe.data_name


def _checkpoint(entry: Checkpoint) -> dict[str, Any]:
    row: dict[str, Any] = {"name": entry.name, "summary": entry.summary}
    folder = None if "://" in entry.location else package_folder(entry.location)
    file = folder / "bundle.json" if folder else None
    if file is None or not file.is_file():
        state = entry.location if "://" in entry.location else "missing: reinstall its plugin"
        return {**row, "size": state, "metric": "", "data": "", "license": ""}
    try:  # not by zoo.bundles.bundle, which loads what writes bundles too
        content = read_manifest(file.parent)
    except UsageError:
        state = "damaged: reinstall its plugin"
        return {**row, "size": state, "metric": "", "data": "", "license": ""}
    target = content["recipe"]["about"].get("target")
    target = target.get("metric", "test/loss") if isinstance(target, dict) else "test/loss"
    value = content["metrics"]["values"].get(target)
    return {
        **row,
        "size": f"{content['files']['model.safetensors']['size'] / 1e6:.2f} MB",
        "metric": f"{target} {value:.4g}" if value is not None else "",
        "data": content["recipe"]["data"]["name"],
        "license": content["license"]["weights"],
    }
