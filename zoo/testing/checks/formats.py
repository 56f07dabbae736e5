"""Checks of the formats of ``zoo export``: those of a plugin, and every one on its models."""

from __future__ import annotations

import torch
from torch import nn

from zoo.errors import MissingDependencyError
from zoo.inference.export import FORMATS, TOLERANCE, converted, export
from zoo.plugin.declarations import not_exportable
from zoo.registry.registry import registry
from zoo.testing.check import check
from zoo.testing.checks.bundle import bundled
from zoo.testing.results import CheckFailed, Exempt, Skip
from zoo.testing.subjects import FormatSubject, ModelSubject


@check(
    "converts",
    "export format",
    why="`zoo export` keeps a file only if it gives the model's outputs",
    remedy="let convert(network, samples) return the bytes of the file, and a function from any "
    "number of samples to the outputs that the file gives for them",
)
def converts(subject: FormatSubject) -> str:
    """A small net in this format gives the net's outputs."""
    registry().load_function(subject.entry)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    data, difference = converted(subject.name, network, torch.randn(5, 4))
    if not isinstance(data, bytes):
        raise CheckFailed(f"what it returns first is a {type(data).__name__}, not bytes")
    if not difference <= TOLERANCE:
        raise CheckFailed(f"its outputs differ by {difference:.1e} of the largest")
    return f"difference {difference:.1e}"


@check(
    "export-formats",
    "model",
    why="`zoo export` offers every format for every model",
    remedy="keep forward to operations that each format knows, or declare not_exportable = "
    "'reason' on the class",
)
def export_formats(subject: ModelSubject) -> str:
    """ONNX, where its packages are installed, and the plugin's own formats give the model's
    outputs on real inputs."""
    if reason := not_exportable(subject.cls):
        raise Exempt(reason)
    _, path = bundled(subject)
    told: list[str] = []
    missing: list[str] = []
    for name in (*FORMATS[1:], *subject.formats):
        try:
            done = export(path, name, subject.folder("export") / "model")
        except MissingDependencyError as error:
            missing.append(str(error))
        else:
            told.append(f"{name}: difference {done.difference:.1e}")
    if not told:
        raise Skip("; ".join(missing))
    return ", ".join(told)
