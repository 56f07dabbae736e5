"""What ``zoo info`` says of a run folder and of a bundle: what their files say, without torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.bundles.manifest import MANIFEST, WEIGHTS, read_manifest
from zoo.io.stages import measured
from zoo.io.weights_size import stated_numbers
from zoo.plugin.entries import Checkpoint
from zoo.registry.registry import package_folder
from zoo.runs.group import Group, is_group, open_group
from zoo.runs.listing import find_runs
from zoo.runs.run import Run

_SUMMARY = ("report.html", "summary.json", "summary.csv")


def describe_folder(path: Path) -> dict[str, Any] | None:
    """A run folder, a group of runs or a bundle; None for anything else.

    Raises:
        UsageError: its files are damaged.
    """
    if (path / "recipe.yaml").is_file():
        return _run(Run(path))
    if is_group(path):
        return _group(open_group(path))
    if (path / MANIFEST).is_file():
        return {"kind": "bundle", "name": str(path), **describe_bundle(path)}
    if path.suffix == ".ckpt" and path.is_file():
        return _checkpoint_file(path)
    return None


def _group(group: Group) -> dict[str, Any]:
    states = Counter(run.state for run in find_runs(group.path).members(group.path))
    return {
        "kind": "group",
        "name": str(group.path),
        "of": group.kind,
        "recipe": group.recipe,
        "runs": dict(states),
        "summary": [name for name in _SUMMARY if (group.path / name).is_file()],
        "more": f"zoo runs {group.path}",
    }


def describe_checkpoint(entry: Checkpoint) -> dict[str, Any]:
    """What the bundle of a checkpoint says, where it is installed; nothing is fetched."""
    if "://" in entry.location:
        return {"size": "fetched when it is first used"}
    folder = package_folder(entry.location)
    if folder is None or not (folder / MANIFEST).is_file():
        return {"size": "missing"}
    return describe_bundle(folder)


def describe_bundle(folder: Path) -> dict[str, Any]:
    """What a bundle's manifest says: the model, what it was trained on and reaches, what it costs,
    its terms and where it comes from.

    Raises:
        UsageError: its manifest is damaged.
    """
    content = read_manifest(folder)
    recipe, facts = content["recipe"], content["facts"]
    return {
        "model": content["model"]["name"],
        "recipe": recipe["name"],
        "data": recipe["data"]["name"],
        "classes": _classes(facts),
        "preprocessing": content["preprocessing"],
        "metrics": measured(content["metrics"]["values"]),
        "target": _target(recipe["about"]),
        "cost": _cost(content, folder),
        "size": _megabytes(content["files"][WEIGHTS]["size"]),
        "license": content["license"],
        "origin": content["origin"],
        "command": content["metrics"]["command"],
        "created": content["created"],
        "plugin": f"{content['plugin']['distribution']} {content['plugin']['version']}",
        "versions": content["versions"],
        "sha256": content["sha256"],
    }


def _run(run: Run) -> dict[str, Any]:
    recipe, environment = run.recipe, run.environment
    done = "finished" in environment
    found: dict[str, Any] = {
        "kind": "run",
        "name": str(run.path),
        "recipe": recipe.name,
        "state": "finished"
        if done
        else f"not finished: zoo train {recipe.name} --resume {run.path}",
        "model": recipe.model_name,
        "data": {"name": recipe.data_name, **_given(recipe.data, "root", "split")},
        **_given(environment, "started", "finished", "fit_seconds", "epochs"),
        **_given(environment, "best_epoch", "monitor", "device", "command", "origin"),
        "metrics": measured(run.metrics),
        "target": _target(recipe.about),
    }
    if (run.bundle / MANIFEST).is_file():
        bundle = describe_bundle(run.bundle)
        found |= {key: bundle[key] for key in _OF_THE_BUNDLE}
    return {**found, "folder": _on_disk(run.path), **_given(environment, "versions")}


_OF_THE_BUNDLE = ("classes", "preprocessing", "cost", "size", "license", "plugin", "sha256")
"""What a run says by its bundle."""


def _checkpoint_file(path: Path) -> dict[str, Any]:
    """What is known of a checkpoint without unpickling it."""
    run = Run(path.parent.parent)
    found = {"kind": "checkpoint file", "name": str(path), "size": _megabytes(path.stat().st_size)}
    if not run.recipe_file.is_file():
        return {**found, "run": "none: it lies in no run folder, so nothing names its model"}
    recipe = run.recipe
    return {**found, "run": str(run.path), "recipe": recipe.name, "model": recipe.model_name}


def _cost(content: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What was recorded of a model's cost; of bundles of before, what their weights file says."""
    recorded = content.get("cost")
    if isinstance(recorded, dict) and recorded.keys() >= _COST:
        return recorded
    tensors, numbers = stated_numbers(folder / WEIGHTS) or (0, 0)
    return {"tensors": tensors, "numbers": numbers}


_COST = {"trainable", "frozen", "buffers", "example_input", "flops", "memory", "not_measured"}


def _target(about: Mapping[str, Any]) -> str:
    """What a recipe is to reach, and who says so."""
    target = about.get("target")
    if not isinstance(target, Mapping) or target.get("value") is None:
        return ""
    day, source, changed = target.get("set"), about.get("source"), about.get("changed")
    told = f"{target.get('metric')} {target['value']}" + (f", set {day}" if day else "")
    told += f" ({source})" if source else ""
    told += f"; changed: {changed}" if changed else ""
    return told + (f"; differs from the paper: {about['differs']}" if about.get("differs") else "")


def _on_disk(folder: Path) -> str:
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return f"{_megabytes(sum(sizes))} in {len(sizes)} files"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _classes(facts: Mapping[str, Any]) -> list[str] | int | None:
    names: list[str] | None = facts.get("label_names")
    return names or facts.get("num_classes")


def _given(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}
