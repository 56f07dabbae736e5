"""Plots of a search and of what it found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor


def draw_search(history: Sequence[Sequence[float]]) -> Figure:
    """Best and median of each generation, the best so far, and the step size, by evaluations.

    Args:
        history: For each generation: evaluations, best, median, best so far, spread.
    """
    rows = np.asarray(history, dtype=np.float64)
    figure = Figure(figsize=(6.4, 5), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    axes.plot(rows[:, 0], rows[:, 3], color="black", linewidth=1, label="best so far")
    axes.plot(rows[:, 0], rows[:, 1], color="C0", label="best of the generation")
    axes.plot(rows[:, 0], rows[:, 2], color="C1", label="median of the generation")
    finite = rows[:, 1:4][np.isfinite(rows[:, 1:4])]
    if len(finite) and abs(finite).max() > 100 * (1 + abs(np.median(finite))):
        axes.set_yscale("symlog")
    axes.set(ylabel="fitness")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    below.plot(rows[:, 0], rows[:, 4], color="C2")
    if (rows[:, 4] > 0).all():
        below.set_yscale("log")
    below.set(xlabel="evaluations", ylabel="step size")
    below.grid(alpha=0.3)
    return figure


def draw_weights(matrices: Sequence[Tensor]) -> Figure:
    """Each weight matrix as a picture, all on one scale.

    Args:
        matrices: Of one individual.
    """
    shown = [each.detach().cpu().double().reshape(len(each), -1).numpy() for each in matrices]
    highest = max(1e-12, *(float(np.abs(each).max()) for each in shown))
    figure = Figure(figsize=(2.6 * len(shown) + 1, 3), layout="constrained")
    for place, each in enumerate(shown):
        axes = figure.add_subplot(1, len(shown), place + 1)
        image = axes.imshow(each, cmap="RdBu", vmin=-highest, vmax=highest, aspect="auto")
        axes.set(xticks=[], yticks=[], title=f"{each.shape[0]} x {each.shape[1]}")
    figure.colorbar(image, ax=figure.axes)
    return figure


def draw_point(point: Sequence[float]) -> Figure:
    """The coordinates of a point, in their order."""
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(0, color="0.7", linewidth=0.8)
    axes.plot(range(len(point)), point, "o", markersize=4)
    axes.set(xlabel="coordinate", ylabel="value")
    return figure
