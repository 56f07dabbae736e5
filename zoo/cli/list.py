"""``zoo list``: what there is."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zoo.cli.output import show
from zoo.plugin.entries import Checkpoint
from zoo.registry.registry import entry_name, package_folder, registry

Rows = list[dict[str, Any]]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("list", help="what there is")
    parser.add_argument("kind", nargs="?", choices=sorted(KINDS), help="one kind; all without")
    parser.add_argument("--json", action="store_true", help="a list of objects")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print entries by kind."""
    kinds = [options.kind] if options.kind else ["models", "datasets", "recipes", "checkpoints"]
    if options.json:
        rows = [{"kind": kind[:-1], **row} for kind in kinds for row in KINDS[kind]()]
        show(rows, as_json=True)
        return
    for kind in kinds:
        rows = KINDS[kind]()
        if rows:
            show(rows, as_json=False, title=kind)
        else:
            print(f"no {kind}: install a plugin, or see `zoo doctor`")


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
        goal = f"{target.get('metric')} {value}" if value is not None else ""
        summary = about.get("summary", "")
        rows.append(
            {"name": name, "summary": summary, "model": model, "data": data, "target": goal}
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
    from zoo.errors import UsageError
    from zoo.recipes.recipe import make_recipe, read_recipe

    try:
        recipe = make_recipe(read_recipe(path).as_dict(), path.stem)
    except UsageError as error:
        return {"summary": f"cannot be read: {error}"}, "", ""
    return dict(recipe.about), recipe.model_name, recipe.data_name


def _checkpoint(entry: Checkpoint) -> dict[str, Any]:
    from zoo.bundles.manifest import read_manifest

    row: dict[str, Any] = {"name": entry.name, "summary": entry.summary}
    folder = None if "://" in entry.location else package_folder(entry.location)
    file = folder / "bundle.json" if folder else None
    if folder is None or file is None or not file.is_file():
        state = entry.location if "://" in entry.location else "missing: reinstall its plugin"
        return {**row, "size": state, "metric": "", "data": "", "license": ""}
    content = read_manifest(folder)
    goal = (content["recipe"]["about"].get("target") or {}).get("metric", "test/loss")
    value = content["metrics"]["values"].get(goal)
    return {
        **row,
        "size": f"{content['files']['model.safetensors']['size'] / 1e6:.2f} MB",
        "metric": f"{goal} {value:.4g}" if value is not None else "",
        "data": content["recipe"]["data"]["name"],
        "license": content["license"]["weights"],
    }
