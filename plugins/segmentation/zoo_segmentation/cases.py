"""The volumes of a test that are drawn: the one that went worst, and the one in the middle."""

from __future__ import annotations

import math
from dataclasses import dataclass

from zoo.plugin import plots
from zoo_segmentation.slices import Cuts, draw_slices

_MOST_BYTES = 64_000_000
"""Slices of more volumes are not kept, but for those of the worst."""


@dataclass(frozen=True)
class Case:
    """A tested volume.

    Attributes:
        name: The volume's.
        dice: Mean over the classes that truth or prediction has; NaN where there is none.
        cuts: Its slices.
        sides: Whether its axes are known to lie as ``cut_slices`` says.
    """

    name: str
    dice: float
    cuts: Cuts
    sides: bool


class TestedCases:
    """The volumes of one test."""

    __test__ = False  # not a class of tests

    def __init__(self) -> None:
        self._cases: list[Case] = []
        self._bytes = 0
        self._worst: Case | None = None

    def add(self, case: Case) -> None:
        """Keep a volume, as far as there is room."""
        if math.isnan(case.dice):
            return
        if self._worst is None or case.dice < self._worst.dice:
            self._worst = case
        if self._bytes + case.cuts.bytes <= _MOST_BYTES:
            self._cases.append(case)
            self._bytes += case.cuts.bytes

    def draw(self, names: list[str]) -> dict[str, plots.Sheet]:
        """The worst case and the median one; nothing of a test in which nothing was labelled.

        Args:
            names: The classes' names, background first.
        """
        chosen: dict[str, Case] = {}
        if self._worst:
            chosen["worst_case"] = self._worst
        if self._cases:
            ordered = sorted(self._cases, key=lambda case: case.dice)
            chosen["median_case"] = ordered[len(ordered) // 2]
        return {
            key: draw_slices(case.cuts, names, f"{case.name}: Dice {case.dice:.3f}", case.sides)
            for key, case in chosen.items()
        }
