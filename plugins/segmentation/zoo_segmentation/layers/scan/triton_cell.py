"""``fused_cell`` for GPUs, in Triton: a step's gates in one kernel forward and one backward.

A program handles ``BLOCK`` channels of states; the channel ``c`` of position ``p`` has its four
gates at ``p * 4 H + gate * H + c``. Everything is computed in the dtype of the cell state.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024


@triton.jit
def _sigmoid(z):  # type: ignore[no-untyped-def]
    return 1.0 / (1.0 + tl.exp(-z))


@triton.jit  # type: ignore[untyped-decorator]
def _forward(  # type: ignore[no-untyped-def]
    gates,
    z,
    before,
    cell,
    hidden,
    narrow,
    count,
    width: tl.constexpr,
    first: tl.constexpr,
    same: tl.constexpr,
    block: tl.constexpr,
):
    place = tl.program_id(0) * block + tl.arange(0, block)
    inside = place < count
    wide = cell.dtype.element_ty
    at = (place // width) * (4 * width) + place % width
    i = tl.load(gates + at, mask=inside).to(wide)
    f = tl.load(gates + at + width, mask=inside).to(wide)
    o = tl.load(gates + at + 2 * width, mask=inside).to(wide)
    g = tl.load(gates + at + 3 * width, mask=inside).to(wide)
    if not first:
        i += tl.load(z + at, mask=inside).to(wide)
        f += tl.load(z + at + width, mask=inside).to(wide)
        o += tl.load(z + at + 2 * width, mask=inside).to(wide)
        g += tl.load(z + at + 3 * width, mask=inside).to(wide)
    i, f, o, g = _sigmoid(i), _sigmoid(f), _sigmoid(o), _sigmoid(g)
    c = i * (2.0 * g - 1.0)
    if not first:
        c += f * tl.load(before + place, mask=inside)
    h = o * (2.0 * _sigmoid(2.0 * c) - 1.0)
    tl.store(cell + place, c, mask=inside)
    tl.store(narrow + place, h.to(narrow.dtype.element_ty), mask=inside)
    if not same:
        tl.store(hidden + place, h, mask=inside)
    kept = gates.dtype.element_ty
    tl.store(gates + at, i.to(kept), mask=inside)
    tl.store(gates + at + width, f.to(kept), mask=inside)
    tl.store(gates + at + 2 * width, o.to(kept), mask=inside)
    tl.store(gates + at + 3 * width, g.to(kept), mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def _backward(  # type: ignore[no-untyped-def]
    gates,
    before,
    cell,
    d_out,
    d_hidden,
    d_cell,
    d_gates,
    count,
    width: tl.constexpr,
    first: tl.constexpr,
    last: tl.constexpr,
    block: tl.constexpr,
):
    place = tl.program_id(0) * block + tl.arange(0, block)
    inside = place < count
    wide = cell.dtype.element_ty
    at = (place // width) * (4 * width) + place % width
    i = tl.load(gates + at, mask=inside).to(wide)
    f = tl.load(gates + at + width, mask=inside).to(wide)
    o = tl.load(gates + at + 2 * width, mask=inside).to(wide)
    g = tl.load(gates + at + 3 * width, mask=inside).to(wide)
    squashed = 2.0 * _sigmoid(2.0 * tl.load(cell + place, mask=inside)) - 1.0
    d_h = tl.load(d_out + place, mask=inside)
    if not last:
        d_h += tl.load(d_hidden + place, mask=inside).to(wide)
    through = d_h * o
    d_c = through * (1.0 - squashed * squashed)
    if not last:
        d_c += tl.load(d_cell + place, mask=inside)
    tl.store(d_cell + place, d_c * f, mask=inside)
    d_f = f * 0.0
    if not first:
        d_f = d_c * tl.load(before + place, mask=inside) * f * (1.0 - f)
    d_i = d_c * (2.0 * g - 1.0) * i * (1.0 - i)
    d_o = d_h * squashed * o * (1.0 - o)
    d_g = 2.0 * d_c * i * g * (1.0 - g)
    kept = d_gates.dtype.element_ty
    tl.store(d_gates + at, d_i.to(kept), mask=inside)
    tl.store(d_gates + at + width, d_f.to(kept), mask=inside)
    tl.store(d_gates + at + 2 * width, d_o.to(kept), mask=inside)
    tl.store(d_gates + at + 3 * width, d_g.to(kept), mask=inside)


def forward(
    gates: Tensor,
    z: Tensor | None,
    before: Tensor | None,
    cell: Tensor,
    hidden: Tensor,
    narrow: Tensor,
) -> None:
    """As ``fused_cell.reference_forward``; all contiguous."""
    first = z is None
    _forward[_grid(cell)](
        gates,
        gates if z is None else z,
        cell if before is None else before,
        cell,
        hidden,
        narrow,
        cell.numel(),
        width=cell.shape[-1],
        first=first,
        same=hidden.data_ptr() == narrow.data_ptr(),
        block=BLOCK,
    )


def backward(
    gates: Tensor,
    before: Tensor | None,
    cell: Tensor,
    d_out: Tensor,
    d_hidden: Tensor | None,
    d_cell: Tensor,
    d_gates: Tensor,
) -> None:
    """As ``fused_cell.reference_backward``; all contiguous."""
    _backward[_grid(cell)](
        gates,
        cell if before is None else before,
        cell,
        d_out,
        d_out if d_hidden is None else d_hidden,
        d_cell,
        d_gates,
        cell.numel(),
        width=cell.shape[-1],
        first=before is None,
        last=d_hidden is None,
        block=BLOCK,
    )


def _grid(cell: Tensor) -> tuple[int]:
    return (triton.cdiv(cell.numel(), BLOCK),)
