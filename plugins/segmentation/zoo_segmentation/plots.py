"""Plots of segmentations: tables of classes and membrane maps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure


def class_table(values: Mapping[str, Mapping[str, float]], heading: str = "") -> Figure:
    """A table of metrics by class.

    Args:
        values: Class to measure to value; a value that is missing or not finite shows as a dash.
        heading: A line above.
    """
    measures = list(dict.fromkeys(key for row in values.values() for key in row))
    cells = [[_number(row.get(measure)) for measure in measures] for row in values.values()]
    figure = Figure(
        figsize=(2.4 + 1.3 * len(measures), 0.5 + 0.3 * (len(cells) + 1)), layout="constrained"
    )
    axes = figure.add_subplot()
    axes.set_axis_off()
    table = axes.table(
        cells, rowLabels=list(values), colLabels=measures, loc="center", cellLoc="right"
    )
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    table.scale(1, 1.4)
    for cell in table.get_celld().values():
        cell.set_linewidth(0.4)
    if heading:
        figure.suptitle(heading, fontsize=10)
    return figure


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


def _number(value: float | None) -> str:
    return "-" if value is None or not np.isfinite(value) else f"{value:.4g}"
