"""The gradients of a zero-padded convolution, each on its own.

z = kernel * x + bias, on channels-last images: x (B, C, P, Q), z (B, F, P, Q), kernel
(F, C / groups, kP, kQ). autograd would compute all gradients in every step of a scan; here a
step asks for the input's alone, and the kernel's follows once for all steps together, which lie
along B.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo_segmentation.layers.scan.strategy import state_dtype


def input_gradient(
    d_z: Tensor, x: Tensor, kernel: Tensor, padding: list[int], groups: int = 1
) -> Tensor:
    """From d_z (B, F, P, Q) the gradient of x; of x only the shape and layout count."""
    return _backward(d_z, x, kernel, padding, groups, [True, False, False])[0]


def kernel_gradient(
    d_z: Tensor, x: Tensor, window: tuple[int, int], padding: list[int], groups: int = 1
) -> Tensor:
    """From d_z (B, F, P, Q) and x the gradient of the kernel, whose window is (kP, kQ)."""
    kernel = x.new_empty(d_z.shape[1], x.shape[1] // groups, *window)
    return _backward(d_z, x, kernel, padding, groups, [False, True, False])[1]


def bias_gradient(d_z: Tensor) -> Tensor:
    """From d_z, here with channels last, (..., F), the gradient of the bias, (F,)."""
    return d_z.flatten(0, -2).sum(0, dtype=state_dtype(d_z.dtype))


def _backward(
    d_z: Tensor, x: Tensor, kernel: Tensor, padding: list[int], groups: int, mask: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    gradients: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        d_z, x, kernel, None, [1, 1], padding, [1, 1], False, [0, 0], groups, mask
    )
    return gradients
