"""Unit lower triangular systems, as the chunks of the delta rule have them."""

from __future__ import annotations

import torch
from torch import Tensor


def solve_unit_lower(below: Tensor, right: Tensor) -> Tensor:
    """``x`` of ``(I + L) x = b``.

    Args:
        below: L (..., T, T), zero on and above the diagonal.
        right: b (..., T, e).

    Returns:
        x (..., T, e).
    """
    if torch.compiler.is_exporting():
        return _row_by_row(below, right)
    solved: Tensor = torch.linalg.solve_triangular(below, right, upper=False, unitriangular=True)
    return solved


def _row_by_row(below: Tensor, right: Tensor) -> Tensor:
    """By forward substitution, for files whose formats know no triangular solve, as ONNX."""
    rows = [right[..., :1, :]]
    for t in range(1, right.shape[-2]):
        known = torch.cat(rows, dim=-2)
        rows.append(right[..., t : t + 1, :] - below[..., t : t + 1, :t] @ known)
    return torch.cat(rows, dim=-2)
