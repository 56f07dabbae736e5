"""Metrics that every model family draws the same way. Each returns a matplotlib Figure.

Figures are made without pyplot, so that drawing needs no display and leaks no state.
"""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps, get_data_path
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox
from PIL import Image, ImageDraw, ImageFont

from zoo.io.series import Series, asks_for_log, by_quantity, stage_order

_DPI = 120
_CELL, _GAP, _LINE = 180, 5, 15
"""Of a contact sheet, pixels: a picture's square, the space around it and a line of text."""
_COLORS = {"train": "C0", "val": "C1", "test": "C2"}
_MAX_VALUES = 24
"""Rows of the table of single values."""
_MAX_PANELS = 24
"""Panels of curves; of many quantities those of single classes, which have a second slash, go."""


def curves(metrics: Mapping[str, Series], x: str = "epoch") -> Figure:
    """Training curves: one panel a quantity, its train and val series together.

    A test has one value, which is a dashed line across the panel. Quantities without a curve stand
    in a table. Of ``accuracy`` and ``error``, which is 1 less it, the accuracy is drawn, and what
    the x axis counts is not.

    Args:
        metrics: Logged name (``train/loss``, ``val/loss``, ...) to its points.
        x: What their first number is.
    """
    panels, single = by_quantity(metrics)
    panels.pop(x.replace(" ", "_"), None)
    chosen = sorted(panels, key=lambda name: ("/" in name, name))[:_MAX_PANELS]
    panels = {name: panels[name] for name in sorted(chosen)}
    cells = [*panels, *([None] if single or not panels else [])]
    columns = min(3, len(cells))
    rows = math.ceil(len(cells) / columns)
    height = max(3.2, 0.8 + 0.24 * min(len(single), _MAX_VALUES)) if not panels else 3.2
    figure = Figure(figsize=(4.5 * columns, height * rows), layout="constrained")
    for index, quantity in enumerate(cells):
        axes = figure.add_subplot(rows, columns, index + 1)
        if quantity is None:
            _draw_values(axes, single)
        else:
            _draw_curve(axes, quantity, panels[quantity], x)
    return figure


def _draw_curve(axes: Axes, quantity: str, stages: Mapping[str, Series], x: str) -> None:
    for stage, points in stages.items():
        color = _COLORS.get(stage)
        if len(points) == 1 and stage == "test":
            value = points[0][1]
            axes.axhline(value, color=color, linestyle="--", label=f"test {value:.4g}")
            continue
        places, values = zip(*points, strict=True)
        marker = "o" if len(points) <= 12 else None
        axes.plot(places, values, marker=marker, markersize=3.5, label=stage, color=color)
    if asks_for_log(stages.values()):
        axes.set_yscale("log")
    if all(float(place).is_integer() for points in stages.values() for place, _ in points):
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    axes.set_title(abbreviated(quantity, 40))
    axes.set_xlabel(x)
    axes.grid(alpha=0.3)
    axes.legend()


def _draw_values(axes: Axes, single: Mapping[str, Mapping[str, float]]) -> None:
    """Quantities that were measured once, as a table."""
    axes.set_axis_off()
    if not single:
        axes.text(0.5, 0.5, "no metrics were logged", ha="center", va="center")
        return
    found = dict.fromkeys(stage for values in single.values() for stage in values)
    stages = sorted(found, key=stage_order)
    shown = sorted(single, key=lambda name: ("/" in name, name))[:_MAX_VALUES]
    cells = [
        [f"{single[name][stage]:.4g}" if stage in single[name] else "" for stage in stages]
        for name in shown
    ]
    title = "measured once"
    if len(single) > len(shown):
        title += f" ({len(single) - len(shown)} more in metrics.json)"
    axes.set_title(title)
    names = [abbreviated(name, 28) for name in shown]
    draw_table(axes, names, stages, cells)


def draw_table(
    axes: Axes, rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[str]]
) -> None:
    """A table that fills the axes, each column as wide as its texts need.

    Args:
        axes: Switched off.
        rows: Names at the left.
        columns: Names on top.
        cells: A row of texts for each of ``rows``.
    """
    texts = [["", *columns], *([name, *row] for name, row in zip(rows, cells, strict=True))]
    widths = [max(map(len, column)) + 2 for column in zip(*texts, strict=True)]
    height = min(1.0, 0.11 * len(texts))
    table = axes.table(
        texts,
        colWidths=[width / sum(widths) for width in widths],
        bbox=Bbox.from_bounds(0, 1 - height, 1, height),
    )
    table.auto_set_font_size(False)
    table.set_fontsize(9 if sum(widths) < 48 else 7)
    for (row, column), cell in table.get_celld().items():
        cell.set_linewidth(0.4)
        cell.visible_edges = "B"
        cell.set_text_props(ha="left" if column == 0 else "right")
        cell.PAD = 0.04
        if row == 0:
            cell.set_text_props(weight="bold")


def abbreviated(text: str, length: int) -> str:
    """A text cut in its middle to a length, as ends of names tell them apart too.

    Args:
        text: One line.
        length: Characters, 3 or more.
    """
    if len(text) <= length:
        return text
    end = (length - 1) // 3
    return f"{text[: length - 1 - end]}…{text[len(text) - end :]}"


_LETTER = 0.085
"""Width of a letter at font size 10, in inches."""


def confusion_matrix(counts: np.ndarray, names: Sequence[str]) -> Figure:
    """Rows are true classes, columns predictions; numbers are written where they fit.

    Names that are longer than a cell is wide stand upright; of many classes every few have one.

    Args:
        counts: (classes, classes) non-negative counts.
        names: The classes' names, in order.
    """
    classes = len(names)
    shown = [abbreviated(name, 24) for name in names]
    cell = min(0.8, max(0.42, 12 / max(classes, 1) if classes > 28 else 0.42, 3.0 / classes))
    cell = min(cell, 12.5 / classes)
    font = min(9.0, max(5.0, 54 * cell))
    longest = max(map(len, shown)) * _LETTER * font / 10
    upright = longest > 0.9 * cell
    every = max(
        1, math.ceil(1.3 * font / 72 / cell)
    )  # a line of text in each cell, or in every few
    side = cell * classes
    figure = Figure(
        figsize=(
            longest + max(side + 0.9, side / 2 + 2.6),
            side + (longest if upright else 0.3) + 1.0,
        ),
        layout="constrained",
    )
    axes = figure.add_subplot()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    places = range(0, classes, every)
    axes.set_xticks(places, shown[::every], rotation=90 if upright else 0, fontsize=font)
    axes.set_yticks(places, shown[::every], fontsize=font)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    correct = np.trace(counts) / max(counts.sum(), 1)
    axes.set_title(f"{int(counts.sum())} samples, {correct:.2%} on the diagonal", fontsize=10)
    if classes <= 30:
        for row, column in np.argwhere(counts > 0):
            dark = share[row, column] > 0.5
            number = f"{int(counts[row, column])}"
            axes.text(
                column,
                row,
                number,
                ha="center",
                va="center",
                fontsize=min(8.0, 72 * cell / (0.75 * max(len(number), 3))),
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
            self.picture.save(fname, compress_level=3)  # half the time of 6, a tenth larger
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


_IN_LEGEND = 17
"""Classes that a legend names, background included."""


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
    colors = colormaps["tab10"]
    highest = max(len(names) - 1, 1)
    patches = [
        Patch(color=colors(number / highest), alpha=0.5, label=abbreviated(name, 24))
        for number, name in enumerate(names[:_IN_LEGEND])
        if number
    ]
    if patches:
        figure.legend(handles=patches, loc="outside lower center", ncols=min(4, len(patches)))
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a PNG, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():  # a letter that the font lacks is drawn as a box
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(path, dpi=_DPI)
