"""Precision, recall and F1 of each class, as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor


def class_bars(values: Mapping[str, Tensor], names: Sequence[str]) -> Figure:
    """A group of bars for each class.

    Args:
        values: Metric to (classes,), fractions; NaN has no bar.
        names: Of the classes.
    """
    figure = Figure(figsize=(7, 1.2 + 0.35 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    height = 0.8 / len(values)
    for index, (metric, each) in enumerate(values.items()):
        places = [place + index * height for place in range(len(names))]
        axes.barh(places, each.nan_to_num().tolist(), height, label=metric)
    axes.set_yticks([place + 0.4 - height / 2 for place in range(len(names))], names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.05), ncols=len(values))
    return figure
