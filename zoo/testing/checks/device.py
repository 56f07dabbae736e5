"""Checks of a model on a GPU."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.testing.check import check
from zoo.testing.checks.model import tensors
from zoo.testing.results import CheckFailed, Skip
from zoo.testing.subjects import ModelSubject

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

    from zoo.plugin.protocols import ZooLightningModule

TOLERANCE = 1e-3
"""Largest difference of a number, relative to the largest of its tensor."""
STEP = 1e-2
"""Length of the optimizer step that is compared, relative to a weight's own size."""


@check(
    "same-on-gpu",
    "model",
    why="what was measured on one device has to hold on another",
    remedy="make tensors on the device of the inputs or of the parameters, and register constants "
    "as buffers",
)
def same_on_gpu(subject: ModelSubject) -> str:
    """The GPU gives the CPU's outputs, gradients, and weights after a step, up to rounding, by the
    kernels that a training there runs."""
    model = differentiable(subject.working())
    device = accelerator()
    there = copy.deepcopy(model).to(device)
    with full_float32():
        worst = largest_difference(results(model, model.example_input), results_on(there, device))
    if not worst <= TOLERANCE:
        raise CheckFailed(f"on {device} outputs, gradients or weights differ by {worst:.1e}")
    return f"difference {worst:.1e} on {device}"


def differentiable(model: ZooLightningModule) -> ZooLightningModule:
    """The model with its recurrent layers in training mode and without dropout: cuDNN computes no
    gradients of those in evaluation mode."""
    for layer in model.modules():
        if isinstance(layer, nn.RNNBase):
            layer.train()
            layer.dropout = 0.0
    return model


@contextmanager
def full_float32() -> Iterator[None]:
    """While it lasts, GPUs compute with cuDNN and without TensorFloat-32."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def results_on(model: ZooLightningModule, device: torch.device) -> list[Tensor]:
    """As ``results``, of the model's example on a device."""
    return results(model, model.example_input.to(device))


def results(model: LightningModule, example: Tensor) -> list[Tensor]:
    """Outputs, gradients of the sum of their squares, and weights after a step along these."""
    parameters = [each for each in model.parameters() if each.requires_grad]
    with torch.enable_grad():
        found = tensors(model(example))
        loss = sum(each.float().square().mean() for each in found if each.is_floating_point())
    gradients: list[Tensor] = []
    if isinstance(loss, Tensor) and loss.requires_grad and parameters:
        given = torch.autograd.grad(loss, parameters, allow_unused=True)
        gradients = [each for each in given if each is not None]
        with torch.no_grad():
            for parameter, gradient in zip(parameters, given, strict=True):
                if gradient is not None:
                    length = parameter.norm() / gradient.norm().clamp(min=1e-12)
                    parameter.sub_(STEP * length * gradient)
    return [*found, *gradients, *(each.detach() for each in parameters)]


def largest_difference(wanted: Iterable[Tensor], found: Iterable[Tensor]) -> float:
    """The largest of tensors, relative to the largest number of each; infinite if one is NaN."""
    worst = 0.0
    for expected, other in zip(wanted, found, strict=True):
        scale = expected.detach().abs().max().clamp(min=1e-12)
        difference = float((other.detach().cpu() - expected.detach()).abs().max() / scale)
        worst = max(worst, difference if difference == difference else float("inf"))
    return worst


def accelerator() -> torch.device:
    """The GPU; a Skip if there is none."""
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    if torch.backends.mps.is_available():
        return torch.device("mps", 0)
    raise Skip("torch sees no GPU here")
