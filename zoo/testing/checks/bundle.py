"""Checks of a model that is bundled, adapted to new classes and exported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from zoo.bundles.bundle import read_bundle, write_bundle
from zoo.bundles.hub import locate
from zoo.bundles.load import rebuild
from zoo.bundles.references import describe_references
from zoo.inference.export import export
from zoo.io.weights import in_head, load_weights
from zoo.plugin.declarations import (
    constructor_arguments,
    head_of,
    not_exportable,
    task_arguments,
)
from zoo.recipes.experiment import build_model
from zoo.recipes.references import reference_arguments
from zoo.recipes.signatures import argument_names
from zoo.runs.run import Run, create_run
from zoo.testing.check import check
from zoo.testing.checks.model import outputs, tensors
from zoo.testing.checks.training import different
from zoo.testing.results import CheckFailed, Exempt, Skip
from zoo.testing.stages import without_quick_runs
from zoo.testing.subjects import CheckpointSubject, ModelSubject

if TYPE_CHECKING:
    from zoo.plugin.protocols import ZooLightningModule


@check(
    "bundle",
    "model",
    why="a bundle is what users keep, share and predict with",
    remedy="keep all that forward needs in constructor arguments, parameters and buffers",
)
def bundle(subject: ModelSubject) -> None:
    """A saved and loaded model gives the same outputs, to the last digit."""
    model, path = bundled(subject)
    _require_same_outputs(model, rebuild(read_bundle(path)))


@check(
    "references",
    "model",
    why="a bundle is used where the runs that its arguments name are not",
    remedy="make what an argument of the type zoo.plugin.Reference names by "
    "zoo.plugin.trained_model, and keep it as a submodule",
)
def references(subject: ModelSubject) -> str:
    """The bundle gives the same outputs where the trained models that its arguments name are
    gone."""
    names = reference_arguments(subject.cls)
    if not names:
        raise Skip("none of its arguments is a zoo.plugin.Reference")
    model, path = bundled(subject)
    with without_quick_runs():
        _require_same_outputs(model, rebuild(read_bundle(path)))
    return ", ".join(names)


def _require_same_outputs(model: ZooLightningModule, again: ZooLightningModule) -> None:
    for before, after in zip(tensors(outputs(model)), tensors(outputs(again)), strict=True):
        if not torch.equal(before.nan_to_num(), after.nan_to_num()):
            gap = (before - after).abs().max() if before.shape == after.shape else "another shape"
            raise CheckFailed(f"the loaded model gives other outputs (difference: {gap})")


@check(
    "new-head",
    "model",
    why="fine-tuning on other classes is what most users come for",
    remedy="size by num_classes what `head` names and nothing else, and take num_classes and "
    "label_names from the facts of the data",
)
def new_head(subject: ModelSubject) -> None:
    """With one class more everything but the head loads, and the head is of another shape."""
    names = argument_names(subject.cls)
    if not head_of(subject.build()):
        raise Skip("it has no head")
    if "num_classes" not in names:
        raise Skip("it takes no num_classes")
    model = subject.working()
    setting = subject.setting
    task = task_arguments(subject.cls)
    saved = constructor_arguments(model)
    kept = {
        name: value
        for name, value in saved.items()
        if name in names and name not in task and name not in setting.found.arguments
    }
    classes = int(saved.get("num_classes") or setting.facts["num_classes"]) + 1
    facts = {
        **setting.facts,
        "num_classes": classes,
        "label_names": [f"class {index}" for index in range(classes)],
    }
    other = build_model(setting.found, kept, facts)
    head = head_of(model)
    match = load_weights(other, model.state_dict(), head, "the model with one class less")
    if match.exact:
        raise CheckFailed(f"with {classes} classes no tensor has another shape, the head neither")
    body = {n: t for n, t in other.state_dict().items() if not in_head(n, head)}
    old = {n: t for n, t in model.state_dict().items() if n in body}
    if changed := different(old, body):
        raise CheckFailed(f"outside the head {', '.join(changed[:4])} did not come along")
    outputs(other.eval())


@check(
    "exports",
    "model",
    why="a model that leaves the zoo has to compute there what it computes here",
    remedy="keep forward free of what torch.export cannot follow, or declare not_exportable = "
    "'reason' on the class",
)
def exports(subject: ModelSubject) -> str:
    """torch.export's file gives the model's outputs on real inputs."""
    if reason := not_exportable(subject.cls):
        raise Exempt(reason)
    _, path = bundled(subject)
    done = export(path, "torch-export", subject.folder("export") / "model.pt2")
    return f"difference {done.difference:.1e} on {done.inputs}"


@check(
    "bundle-loads",
    "checkpoint",
    why="a checkpoint that does not load is worse than none",
    remedy="train it again with this version of the plugin, and ship the new bundle folder",
)
def bundle_loads(subject: CheckpointSubject) -> None:
    """A bundle inside the package is whole, and its model gives finite outputs."""
    if "://" in subject.entry.location:
        raise Skip(f"it lies at {subject.entry.location}; the kit downloads nothing")
    folder = locate(subject.name)
    for output in tensors(outputs(rebuild(read_bundle(folder)))):
        if not output.isfinite().all():
            raise CheckFailed("forward(example_input) is not finite")


def bundled(subject: ModelSubject) -> tuple[ZooLightningModule, Path]:
    """A model in evaluation mode, trained a little where it trains, and its bundle."""
    try:
        model = subject.trained.model
    except Skip:
        model = subject.build()
    model.eval()
    setting = subject.setting
    run = Run(subject.folder("bundle") / "run")
    create_run(run, setting.experiment.recipe)
    run.note(references=describe_references(setting.experiment.recipe))
    write_bundle(run.bundle, model, setting.experiment, {}, run, {})
    return model, run.bundle
