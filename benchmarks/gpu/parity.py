"""Every model gives the CPU's outputs and gradients, in float32 without TF32 and with cuDNN."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from gpu.cases import CASES, experiment
from gpu.record import DEVICE, attempt, finish
from zoo.training.train import prepare_data

OUTPUTS, GRADIENTS = 1e-4, 1e-3
"""Largest differences allowed, relative to the largest number of the CPU's tensor."""


def main() -> None:
    """All cases."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    for name in CASES:
        attempt("parity", name, lambda name=name: compare(name))
    finish()


def compare(name: str) -> dict[str, Any]:
    """Forward and backward here and there, from the same weights.

    Returns:
        The largest relative differences ``outputs`` and ``gradients``.

    Raises:
        AssertionError: one is too large, or a gradient is there on one device only.
    """
    torch.manual_seed(0)
    found = experiment(name)
    _, facts = prepare_data(found)
    model = settled(found.with_facts(facts).build_model())
    there = copy.deepcopy(model).to(DEVICE)
    inputs = model.example_input
    inputs = inputs if inputs.any() else torch.rand_like(inputs)
    if "graphed" in name:  # recorded at the third call, replayed at the fourth
        for _ in range(3):
            there(inputs.to(DEVICE)).sum().backward()
        there.zero_grad(set_to_none=True)
    wanted, got = model(inputs), there(inputs.to(DEVICE))
    outputs = difference(got, wanted)
    assert outputs <= OUTPUTS, f"outputs differ by {outputs:.1e} of the largest"
    slopes = torch.linspace(-1, 1, wanted.numel()).view_as(wanted)
    (wanted * slopes).sum().backward()
    (got * slopes.to(DEVICE)).sum().backward()
    worst, where = 0.0, ""
    for (key, mine), other in zip(model.named_parameters(), there.parameters(), strict=True):
        assert (mine.grad is None) == (other.grad is None), f"{key} has a gradient on one device"
        if mine.grad is not None and other.grad is not None:
            worst, where = max((worst, where), (difference(other.grad, mine.grad), key))
    assert worst <= GRADIENTS, f"the gradient of {where} differs by {worst:.1e} of the largest"
    return {"outputs": outputs, "gradients": worst, "worst_gradient": where}


def settled(model: nn.Module) -> nn.Module:
    """In evaluation mode, but for recurrent layers, which cuDNN differentiates in training mode
    only: there without dropout."""
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            module.train()
            module.dropout = 0.0
    return model


def difference(found: Tensor, wanted: Tensor) -> float:
    """The largest difference, relative to the largest number wanted."""
    scale = wanted.detach().abs().max().double().clamp(min=1e-12)
    return float((found.detach().cpu().double() - wanted.detach().double()).abs().max() / scale)


if __name__ == "__main__":
    main()
