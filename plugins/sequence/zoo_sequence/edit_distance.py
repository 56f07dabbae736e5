"""Errors of strings of symbols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


def edit_distance(found: Sequence[Any], truth: Sequence[Any]) -> int:
    """The fewest insertions, deletions and substitutions from one to the other (Levenshtein)."""
    row = list(range(len(truth) + 1))
    for place, symbol in enumerate(found, 1):
        before, row[0] = row[0], place
        for index, other in enumerate(truth, 1):
            change = before + (symbol != other)
            before, row[index] = row[index], min(change, row[index] + 1, row[index - 1] + 1)
    return row[-1]


class ErrorRate(Metric):
    """Edit distances over the lengths of the true strings, summed over all strings."""

    distance: Tensor
    length: Tensor
    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        self.add_state("distance", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("length", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, found: Sequence[Sequence[Any]], truth: Sequence[Sequence[Any]]) -> None:
        """Add strings."""
        self.distance += sum(map(edit_distance, found, truth))
        self.length += sum(map(len, truth))

    def compute(self) -> Tensor:
        """The rate; 0 where there was nothing to find."""
        return (self.distance / self.length.clamp_min(1)).float()
