"""Metrics that every model family draws the same way. Each returns a matplotlib Figure.

Figures are made without pyplot, so that drawing needs no display and leaks no state.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import get_data_path
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

_DPI = 120
_CELL, _GAP, _LINE = 180, 5, 15
"""Of a contact sheet, pixels: a picture's square, the space around it and a line of text."""
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


class Sheet(Figure):
    """A figure that is one picture, made pixel by pixel. As a PNG it is written as it is, several
    times faster than matplotlib draws, which shows where a page has dozens of panels.

    Args:
        picture: The picture.
        titles: The texts on it, in order.
    """

    def __init__(self, picture: Image.Image, titles: Sequence[str]) -> None:
        super().__init__(figsize=(picture.width / _DPI, picture.height / _DPI), dpi=_DPI)
        self.picture = picture
        self.titles = list(titles)
        self.figimage(np.asarray(picture))

    def savefig(self, fname: Any, **options: Any) -> None:
        """Write the figure; see matplotlib."""
        if str(fname).endswith(".png"):
            self.picture.save(fname, compress_level=1)
        else:
            super().savefig(fname, **options)


def contact_sheet(
    images: Sequence[np.ndarray], titles: Sequence[str], columns: int = 8, heading: str = ""
) -> Sheet:
    """Small pictures in a grid, each under its title.

    Args:
        images: Arrays (H, W) or (H, W, 3), values in [0, 1] or uint8.
        titles: One line or more for each image.
        columns: Pictures in a row.
        heading: A line above the sheet.

    Raises:
        ValueError: there are more images than titles, or fewer.
    """
    columns = max(1, min(columns, len(images)))
    rows = max(1, math.ceil(len(images) / columns))
    titles = ["\n".join(wrap for line in t.splitlines() for wrap in _wrap(line)) for t in titles]
    titles = [title.replace(r"\$", "$") for title in titles]  # as matplotlib wants it
    above = _LINE * max((title.count("\n") + 1 for title in titles), default=1)
    top = 2 * _LINE if heading else 0
    height = above + _CELL
    page = Image.new("RGB", (columns * _CELL, top + rows * height), "white")
    pen = ImageDraw.Draw(page)
    font = _font()
    if heading:
        pen.text((page.width / 2, _LINE / 2), heading, "black", font, anchor="ma")
    for index, (image, title) in enumerate(zip(images, titles, strict=True)):
        left, upper = index % columns * _CELL, top + index // columns * height
        for number, line in enumerate(title.splitlines()):
            place = left + _CELL / 2, upper + number * _LINE + 1
            pen.text(place, line, "black", font, anchor="ma")
        shown = _thumbnail(image)
        space = _CELL - shown.width, _CELL - shown.height
        page.paste(shown, (left + space[0] // 2, upper + above + space[1] // 2))
    return Sheet(page, titles)


def _thumbnail(image: np.ndarray) -> Image.Image:
    """The picture, as large as a cell takes it, with a gap around."""
    if image.dtype != np.uint8:
        bounded = np.nan_to_num(np.asarray(image, dtype=np.float64)).clip(0, 1)
        image = (bounded * 255).round().astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(image))
    scale = (_CELL - 2 * _GAP) / max(picture.size)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    return picture.resize(size, how).convert("RGB")


@cache
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(get_data_path()) / "fonts/ttf/DejaVuSans.ttf", 12)


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
    figure.savefig(path, dpi=_DPI)
