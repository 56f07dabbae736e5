"""Checks of a model on a GPU."""

from __future__ import annotations

import copy

import torch

from zoo.testing.check import check
from zoo.testing.checks.model import outputs, tensors
from zoo.testing.results import CheckFailed, Skip
from zoo.testing.subjects import ModelSubject

TOLERANCE = 1e-3
"""Largest difference of an output, relative to the largest output."""


@check(
    "same-on-gpu",
    "model",
    why="what was measured on one device has to hold on another",
    remedy="make tensors on the device of the inputs or of the parameters, and register constants "
    "as buffers",
)
def same_on_gpu(subject: ModelSubject) -> str:
    """The GPU gives the CPU's outputs, up to rounding."""
    model = subject.working()
    device = accelerator()
    there = copy.deepcopy(model).to(device)
    with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
        found = there(model.example_input.to(device))
    worst = 0.0
    for wanted, output in zip(tensors(outputs(model)), tensors(found), strict=True):
        scale = wanted.abs().max().clamp(min=1e-12)
        worst = max(worst, float((output.cpu() - wanted).abs().max() / scale))
    if not worst <= TOLERANCE:
        raise CheckFailed(f"on {device} outputs differ by {worst:.1e} of the largest")
    return f"difference {worst:.1e} on {device}"


def accelerator() -> torch.device:
    """The GPU; a Skip if there is none."""
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    if torch.backends.mps.is_available():
        return torch.device("mps", 0)
    raise Skip("torch sees no GPU here")
