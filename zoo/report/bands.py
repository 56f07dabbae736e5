"""Curves of several recipes on one picture: the mean of the seeds of each, and their band."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zoo.runs.curves import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_MOST_PANELS = 6


def bands(curves: Mapping[str, Sequence[Curve]], titles: Mapping[str, str]) -> Figure:
    """A panel a metric, in it a line a recipe.

    Args:
        curves: Curves by the label of their row.
        titles: What to call each row.

    Returns:
        The figure. The line is the mean as far as all seeds go, the band reaches from the least to
        the most of them; thin lines are single seeds.
    """
    metrics = list(dict.fromkeys(each.metric for row in curves.values() for each in row))
    metrics = metrics[:_MOST_PANELS]
    columns = min(2, len(metrics)) or 1
    rows = math.ceil(len(metrics) / columns) or 1
    figure = Figure(figsize=(5.2 * columns, 3.4 * rows + 0.5), layout="constrained")
    handles = {}
    for place, metric in enumerate(metrics):
        axes = figure.add_subplot(rows, columns, place + 1)
        units = []
        for number, (label, row) in enumerate(curves.items()):
            for each in row:
                if each.metric == metric:
                    handles[label] = _draw(axes, each, f"C{number % 10}")
                    units.append(each.unit.replace("_", " "))
        axes.set_title(metric)
        axes.set_xlabel(" / ".join(dict.fromkeys(units)))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))  # of what is counted
        axes.grid(alpha=0.3)
    if handles:
        names = [titles.get(label, label) for label in handles]
        figure.legend(list(handles.values()), names, loc="outside upper center", fontsize=8)
    return figure


def _draw(axes: Axes, curve: Curve, color: str) -> Line2D:
    alone = len(curve.x) < 2
    for points in curve.runs:
        if len(curve.runs) > 1:
            axes.plot(
                [x for x, _ in points], [y for _, y in points], color=color, lw=0.6, alpha=0.4
            )
    if not alone:
        axes.fill_between(curve.x, curve.low, curve.high, color=color, alpha=0.15, lw=0)
    (line,) = axes.plot(curve.x, curve.mean, color=color, lw=1.8, marker="o" if alone else None)
    return line
