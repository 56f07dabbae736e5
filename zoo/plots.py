"""Metrics that every model family draws the same way. Each returns a matplotlib Figure.

Figures are made without pyplot, so that drawing needs no display and leaks no state.
"""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

_COLORS = {"train": "C0", "val": "C1", "test": "C2"}

Series = Sequence[tuple[float, float]]
"""Points (epoch, step or count; value)."""


def curves(metrics: Mapping[str, Series], x: str = "epoch") -> Figure:
    """Training curves: one panel a quantity, its train, val and test series together.

    Args:
        metrics: Logged name (``train/loss``, ``val/loss``, ...) to its points.
        x: What their first number is.
    """
    panels: dict[str, dict[str, Series]] = {}
    for name, points in metrics.items():
        stage, _, quantity = name.partition("/")
        panels.setdefault(quantity or stage, {})[stage] = points
    columns = min(3, len(panels)) or 1
    rows = math.ceil(len(panels) / columns) or 1
    figure = Figure(figsize=(4.5 * columns, 3.2 * rows), layout="constrained")
    for index, (quantity, stages) in enumerate(sorted(panels.items())):
        axes = figure.add_subplot(rows, columns, index + 1)
        for stage, points in stages.items():
            marker = "o" if len(points) < 3 else None
            axes.plot(
                [x for x, _ in points],
                [y for _, y in points],
                marker=marker,
                label=stage,
                color=_COLORS.get(stage),
            )
        axes.set_title(quantity)
        axes.set_xlabel(x)
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def confusion_matrix(counts: np.ndarray, names: Sequence[str]) -> Figure:
    """Rows are true classes, columns predictions; numbers are written where they fit.

    Args:
        counts: (classes, classes) non-negative counts.
        names: The classes' names, in order.
    """
    classes = len(names)
    size = min(14.0, max(4.5, 0.42 * classes + 2))
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.add_subplot()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(classes), names, rotation=90 if classes > 12 else 0)
    axes.set_yticks(range(classes), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    correct = np.trace(counts) / max(counts.sum(), 1)
    axes.set_title(f"{int(counts.sum())} samples, {correct:.2%} on the diagonal")
    if classes <= 30:
        for row, column in np.argwhere(counts > 0):
            dark = share[row, column] > 0.5
            axes.text(
                column,
                row,
                f"{int(counts[row, column])}",
                ha="center",
                va="center",
                fontsize=7,
                color="white" if dark else "black",
            )
    return figure


def contact_sheet(
    images: Sequence[np.ndarray], titles: Sequence[str], columns: int = 8, heading: str = ""
) -> Figure:
    """Small pictures in a grid, each with its title.

    Args:
        images: Arrays (H, W) or (H, W, 3), values in [0, 1] or uint8.
        titles: One line or more for each image.
        columns: Pictures in a row.
        heading: A line above the sheet.
    """
    columns = max(1, min(columns, len(images)))
    rows = max(1, math.ceil(len(images) / columns))
    titles = ["\n".join(wrap for line in t.splitlines() for wrap in _wrap(line)) for t in titles]
    lines = max((title.count("\n") + 1 for title in titles), default=1)
    height = 1.5 + 0.14 * lines
    figure = Figure(figsize=(1.5 * columns, height * rows + 0.3), layout="constrained")
    for index, (image, title) in enumerate(zip(images, titles, strict=True)):
        axes = figure.add_subplot(rows, columns, index + 1)
        high = 255 if image.dtype == np.uint8 else 1
        axes.imshow(image, cmap="gray", vmin=0, vmax=high, interpolation="nearest")
        axes.set_title(title, fontsize=7)
        axes.set_axis_off()
    if heading:
        figure.suptitle(heading, fontsize=9)
    return figure


def _wrap(line: str, width: int = 24) -> list[str]:
    return textwrap.wrap(line, width) or [""]


def overlay(image: np.ndarray, labels: Mapping[str, np.ndarray], names: Sequence[str]) -> Figure:
    """One gray image, and next to it the same under each label map.

    Args:
        image: (H, W) gray values of any range.
        labels: Title (``truth``, ``prediction``) to an (H, W) map of integers; 0 is clear.
        names: The classes' names, 0 first.
    """
    figure = Figure(figsize=(4 * (len(labels) + 1), 4.2), layout="constrained")
    shown = {"image": None, **labels}
    for index, (title, label) in enumerate(shown.items()):
        axes = figure.add_subplot(1, len(shown), index + 1)
        axes.imshow(image, cmap="gray")
        if label is not None:
            axes.imshow(
                np.ma.masked_equal(label, 0),
                cmap="tab10",
                vmin=0,
                vmax=max(len(names) - 1, 1),
                alpha=0.5,
                interpolation="nearest",
            )
        axes.set_title(title)
        axes.set_axis_off()
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a PNG, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():  # a letter that the font lacks is drawn as a box
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(path, dpi=120)
