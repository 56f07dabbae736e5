"""What ``zoo info`` says of a run folder and of a bundle: what their files say, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.bundles.manifest import MANIFEST, WEIGHTS, read_manifest
from zoo.io.stages import measured
from zoo.plugin.entries import Checkpoint
from zoo.registry.registry import package_folder
from zoo.runs.run import Run


def describe_folder(path: Path) -> dict[str, Any] | None:
    """A run folder or a bundle; None for anything else.

    Raises:
        UsageError: its files are damaged.
    """
    if (path / "recipe.yaml").is_file():
        return _run(Run(path))
    if (path / MANIFEST).is_file():
        return {"kind": "bundle", "name": str(path), **describe_bundle(path)}
    return None


def describe_checkpoint(entry: Checkpoint) -> dict[str, Any]:
    """What the bundle of a checkpoint says, where it is installed; nothing is fetched."""
    if "://" in entry.location:
        return {"size": "fetched when it is first used"}
    folder = package_folder(entry.location)
    if folder is None or not (folder / MANIFEST).is_file():
        return {"size": "missing"}
    return describe_bundle(folder)


def describe_bundle(folder: Path) -> dict[str, Any]:
    """Model, data, classes, metrics, size and terms of a bundle.

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
        "metrics": measured(content["metrics"]["values"]),
        "size": f"{content['files'][WEIGHTS]['size'] / 1e6:.1f} MB",
        "license": content["license"],
        "created": content["created"],
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
    }
    if (run.bundle / MANIFEST).is_file():
        bundle = describe_bundle(run.bundle)
        found |= {key: bundle[key] for key in ("classes", "size", "license")}
    return found


def _classes(facts: Mapping[str, Any]) -> list[str] | int | None:
    names: list[str] | None = facts.get("label_names")
    return names or facts.get("num_classes")


def _given(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}
