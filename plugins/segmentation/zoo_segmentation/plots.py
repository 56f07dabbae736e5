"""Plots of segmentations: membrane maps."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure


def membrane_map(
    slice_: np.ndarray,
    probability: np.ndarray,
    truth: np.ndarray | None = None,
    heading: str = "",
) -> Figure:
    """A slice of electron microscopy beside its membrane map, and the true membranes if known.

    Args:
        slice_: (H, W) gray values of any range.
        probability: (H, W) of membrane, 0 to 1; dark is membrane, as in the challenge.
        truth: (H, W), True where there is membrane.
        heading: A line above.
    """
    shown = {"slice": slice_, "membrane probability": 1 - probability}
    if truth is not None:
        shown["membranes by hand"] = 1.0 - np.asarray(truth, dtype=float)
    figure = Figure(figsize=(4 * len(shown), 4.3 + 0.3 * bool(heading)), layout="constrained")
    for index, (title, gray) in enumerate(shown.items()):
        axes = figure.add_subplot(1, len(shown), index + 1)
        low, high = (None, None) if index == 0 else (0.0, 1.0)
        axes.imshow(gray, cmap="gray", vmin=low, vmax=high)
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
    if heading:
        figure.suptitle(heading, fontsize=10)
    return figure
