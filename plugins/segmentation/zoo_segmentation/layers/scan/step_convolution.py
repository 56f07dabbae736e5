"""The convolution of a step of ``fused``: of several directions' hidden states, each by its kernel.

It is most of a step's time, and which way is fastest depends on the GPU and on the sizes:

- ``grouped``: one convolution of as many groups as directions.
- ``separate``: one for each direction.
- ``unfolded``: one batched matrix product over the windows of all positions, which are written out
  before: more memory traffic, no dependence on how cuDNN groups.

``chosen_way`` is the rule; ``benchmarks/gpu/pyramid.py`` measures what it should say.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo_segmentation.layers.scan.convolution import input_gradient

WAYS = ("grouped", "separate", "unfolded")
MEASURED: dict[tuple[int, int], str] = {}
"""The fastest way by the GPU's compute capability (90 of an H100) and the hidden channels, as it
was measured. Nothing was measured yet."""


def chosen_way(h: Tensor, width: int) -> str:
    """The way for hidden states h (B, groups H, P, Q) of H = ``width`` channels."""
    if h.device.type != "cuda":
        return "grouped"
    major, minor = torch.cuda.get_device_capability(h.device)
    return MEASURED.get((10 * major + minor, width), "grouped")


def convolve(
    h: Tensor, kernel: Tensor, bias: Tensor, padding: list[int], groups: int, way: str
) -> Tensor:
    """Wh * h + bias for every direction.

    Args:
        h: (B, groups H, P, Q), channels last.
        kernel: (groups 4 H, H, kP, kQ).
        bias: (groups 4 H).
        padding: Of P and Q.
        groups: Directions.
        way: One of ``WAYS``.

    Returns:
        (B, P, Q, groups 4 H), contiguous.
    """
    if way == "separate":
        parts = zip(h.chunk(groups, 1), kernel.chunk(groups), bias.chunk(groups), strict=True)
        made = [F.conv2d(x, weight, own, padding=padding) for x, weight, own in parts]
        return torch.cat([each.permute(0, 2, 3, 1) for each in made], dim=-1)
    if way == "unfolded":
        window = kernel.shape[2:]
        columns = F.unfold(h, window, padding=tuple(padding)).unflatten(1, (groups, -1))
        product = kernel.flatten(1).unflatten(0, (groups, -1)) @ columns  # (B, groups, 4 H, P Q)
        z: Tensor = product.flatten(1, 2).transpose(1, 2).unflatten(1, h.shape[2:])
        return (z + bias).contiguous()
    z = F.conv2d(h, kernel, bias, padding=padding, groups=groups)
    return z.permute(0, 2, 3, 1).contiguous()


def convolve_back(
    d_z: Tensor, h: Tensor, kernel: Tensor, padding: list[int], groups: int, way: str
) -> Tensor:
    """The gradient of h, (B, P, Q, groups H), from d_z (B, groups 4 H, P, Q), channels last."""
    if way == "separate":
        parts = zip(d_z.chunk(groups, 1), h.chunk(groups, 1), kernel.chunk(groups), strict=True)
        made = [input_gradient(d, x, weight, padding) for d, x, weight in parts]
        return torch.cat([each.permute(0, 2, 3, 1) for each in made], dim=-1)
    return input_gradient(d_z, h, kernel, padding, groups).permute(0, 2, 3, 1).contiguous()
