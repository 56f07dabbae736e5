"""What methods that cross and mutate genomes share."""

from __future__ import annotations

import torch
from torch import Tensor

WILDEST = 1e3
"""Cauchy noise is cut there: its tail is infinite."""


def cauchy(uniform: Tensor, scale: float) -> Tensor:
    """Cauchy noise from numbers between 0 and 1, of the same shape."""
    return (scale * torch.tan(torch.pi * (uniform - 0.5))).clamp(-WILDEST, WILDEST)


def crossed(parents: Tensor, first: Tensor, second: Tensor, cut: Tensor) -> Tensor:
    """Children by one-point crossover: the first parent's genome up to the cut, then the second's.

    Args:
        parents: (P, d).
        first: Indices int64 (n,).
        second: Indices int64 (n,).
        cut: From 0 to d, int64 (n,).
    """
    places = torch.arange(parents.shape[1], device=parents.device)
    return torch.where(places < cut[:, None], parents[first], parents[second])
