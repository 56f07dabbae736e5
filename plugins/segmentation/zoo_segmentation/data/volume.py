"""A volume in memory, with its labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

IGNORED = 255
"""In label maps, as they lie in memory: a voxel that neither losses nor metrics count."""


@dataclass(frozen=True)
class Volume:
    """One image ready for a model, with its labels.

    Attributes:
        name: What to call it.
        image: float32 (C, *spatial), normalized; in memory or memory-mapped.
        label: uint8 (*spatial).
        spacing: Voxel edges along the spatial axes, in mm.
        notes: What was assumed when it was read, as the end of a sentence each.
        oriented: Whether its file says how it lies in space, so that its axes are known to run
            from inferior to superior, posterior to anterior, left to right.
    """

    name: str
    image: np.ndarray
    label: np.ndarray
    spacing: tuple[float, ...]
    notes: tuple[str, ...] = ()
    oriented: bool = False
