"""A step's gates and states for ``fused``: on a GPU one kernel forward and one backward.

Each tensor is read and written once a step: pre-activations come in two parts, that of the input
and that of the hidden state, and leave as gates in the place of the first; they are kept in the
convolutions' dtype, 16 bits under autocast. States and everything in between are float32 or
wider. As in ``cell``, the pre-activation of c~ is doubled: tanh(z) = 2 sigmoid(2 z) - 1.

The references say what the kernels compute, and compute it where there is no GPU.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from types import ModuleType

import torch
from torch import Tensor

from zoo.plugin import rank_zero_print


def forward(
    gates: Tensor,
    z: Tensor | None,
    before: Tensor | None,
    cell: Tensor,
    hidden: Tensor,
    narrow: Tensor,
) -> None:
    """One step forward: see ``reference_forward``."""
    kernels = kernels_on(cell.device)
    if kernels is None:
        reference_forward(gates, z, before, cell, hidden, narrow)
    else:
        kernels.forward(gates, z, before, cell, hidden, narrow)


def backward(
    gates: Tensor,
    before: Tensor | None,
    cell: Tensor,
    d_out: Tensor,
    d_hidden: Tensor | None,
    d_cell: Tensor,
    d_gates: Tensor,
) -> None:
    """One step backward: see ``reference_backward``."""
    kernels = kernels_on(cell.device)
    if kernels is None:
        reference_backward(gates, before, cell, d_out, d_hidden, d_cell, d_gates)
    else:
        kernels.backward(gates, before, cell, d_out, d_hidden, d_cell, d_gates)


def reference_forward(
    gates: Tensor,
    z: Tensor | None,
    before: Tensor | None,
    cell: Tensor,
    hidden: Tensor,
    narrow: Tensor,
) -> None:
    """One step.

    Args:
        gates: (..., 4 H) the input's part of the pre-activations, in the convolutions' dtype;
            sigmoids of their sums afterwards.
        z: (..., 4 H) the hidden state's part; None at the first step.
        before: (..., H) the cell state before; None at the first step, where it is 0.
        cell: (..., H) takes the new cell state.
        hidden: (..., H) takes the new hidden state, in the cell state's dtype.
        narrow: (..., H) takes it in the convolutions' dtype; may be ``hidden``.
    """
    sums = gates.to(cell.dtype)
    if z is not None:
        sums = sums + z
    i, f, o, g = sums.sigmoid().split(cell.shape[-1], dim=-1)
    new = i * (2 * g - 1)
    if before is not None:
        new = new + f * before
    gates.copy_(torch.cat([i, f, o, g], dim=-1))
    cell.copy_(new)
    hidden.copy_(o * new.tanh())
    narrow.copy_(hidden)


def reference_backward(
    gates: Tensor,
    before: Tensor | None,
    cell: Tensor,
    d_out: Tensor,
    d_hidden: Tensor | None,
    d_cell: Tensor,
    d_gates: Tensor,
) -> None:
    """The step's gradients.

    Args:
        gates: (..., 4 H) as the step forward left them.
        before: (..., H) the cell state before, or None.
        cell: (..., H) the cell state after.
        d_out: (..., H) gradient of the hidden state as an output.
        d_hidden: (..., H) gradient of the hidden state from the next step, in the convolutions'
            dtype; None at the last step.
        d_cell: (..., H) gradient of the cell state after, from the next step, which is not read at
            the last step; takes that of the cell state before.
        d_gates: (..., 4 H) takes the gradient of the pre-activations.
    """
    i, f, o, g = gates.to(cell.dtype).split(cell.shape[-1], dim=-1)
    squashed = cell.tanh()
    d_h = d_out if d_hidden is None else d_out + d_hidden
    d_c = d_h * o * (1 - squashed.square())
    if d_hidden is not None:
        d_c = d_c + d_cell
    d_f = torch.zeros_like(f) if before is None else d_c * before * f * (1 - f)
    d_i = d_c * (2 * g - 1) * i * (1 - i)
    d_o = d_h * squashed * o * (1 - o)
    d_g = 2 * d_c * i * g * (1 - g)
    d_gates.copy_(torch.cat([d_i, d_f, d_o, d_g], dim=-1))
    d_cell.copy_(d_c * f)


def has_triton() -> bool:
    """Whether Triton, which comes with torch for NVIDIA GPUs on Linux, is installed."""
    return importlib.util.find_spec("triton") is not None


@cache
def kernels_on(device: torch.device) -> ModuleType | None:
    """The kernels, if they work on a device; None elsewhere. A GPU on which they do not is told
    of, once."""
    if device.type != "cuda":
        return None
    reason = "Triton is not installed"
    if has_triton():
        from zoo_segmentation.layers.scan import triton_cell

        try:
            _require_same(triton_cell, device)
        except Exception as error:  # noqa: BLE001  # compilers and drivers raise kinds of their own
            reason = f"{type(error).__name__}: {str(error).strip()[:200]}"
        else:
            return triton_cell
    rank_zero_print(
        f"the gates of the PyraMiD-LSTM are not computed by one kernel a step ({reason}): several "
        "do, which take longer"
    )
    return None


def _require_same(kernels: ModuleType, device: torch.device) -> None:
    """Try them: a GPU may be too old, or have no compiler beside it.

    Raises:
        RuntimeError: they compute something else than the references.
    """
    made = [torch.rand(8, width, device=device) for width in (16, 16, 4)]
    results = []
    for function in (reference_forward, kernels.forward):
        gates, z, before = (each.clone() for each in made)
        cell, hidden = torch.empty_like(before), torch.empty_like(before)
        function(gates, z, before, cell, hidden, hidden)
        results.append(torch.cat([gates, cell, hidden], dim=1))
    if not torch.allclose(results[0], results[1], atol=1e-4):
        raise RuntimeError("the kernel gives other numbers than its reference")
