"""Plots of segmentations: slices under label maps, tables of classes, membrane maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

PLANES = ("axial", "coronal", "sagittal")
# Of Okabe and Ito, told apart with any color vision; repeated beyond six classes.
_COLORS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#D55E00", "#F0E442")


def class_colors(classes: int) -> ListedColormap:
    """A color for each class: 0 is clear."""
    colors = [_COLORS[index % len(_COLORS)] for index in range(max(classes - 1, 1))]
    return ListedColormap(["none", *colors])


def orthogonal_slices(
    image: np.ndarray,
    labels: Mapping[str, np.ndarray],
    names: Sequence[str],
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    heading: str = "",
) -> Figure:
    """Three orthogonal slices, one a row: the image by itself and under each label map.

    They are cut where the first map has most foreground, and shown with the superior or anterior
    side up and the volume's proportions.

    Args:
        image: (D, H, W) gray values of any range; axes from inferior to superior, posterior to
            anterior, left to right. An image (H, W) makes one row.
        labels: Title (``label``, ``prediction``) to a map of classes of the image's shape.
        names: The classes' names, 0 first.
        spacing: Voxel edges along the image's axes.
        heading: A line above.
    """
    if image.ndim == 2:
        image = image[None]
        labels = {title: label[None] for title, label in labels.items()}
        spacing = (1.0, *spacing)
        axes_shown: tuple[int, ...] = (0,)
    else:
        axes_shown = (0,) if image.shape[0] == 1 else (0, 1, 2)
    places = _fullest(next(iter(labels.values())) if labels else image)
    low, high = np.percentile(image, (0.5, 99.5))
    colors = class_colors(len(names))
    columns = {"image": None, **labels}
    rows = []
    for axis in axes_shown:
        across, along = (other for other in range(3) if other != axis)
        rows.append(
            (axis, spacing[across] * image.shape[across], spacing[along] * image.shape[along])
        )
    width = 2.6
    heights = [max(0.8, min(4.0, width * tall / wide)) for _, tall, wide in rows]
    figure = Figure(
        figsize=(width * len(columns) + 0.4, sum(heights) + 0.9 + 0.3 * bool(heading)),
        layout="constrained",
    )
    grid = figure.add_gridspec(len(rows), len(columns), height_ratios=heights)
    for row, (axis, tall, wide) in enumerate(rows):
        place = places[axis]
        cut = image.take(place, axis)
        aspect = (tall / cut.shape[0]) / (wide / cut.shape[1])
        for column, (title, label) in enumerate(columns.items()):
            axes = figure.add_subplot(grid[row, column])
            up: Literal["lower", "upper"] = "lower" if len(axes_shown) == 3 else "upper"
            axes.imshow(cut, cmap="gray", vmin=low, vmax=high, aspect=aspect, origin=up)
            if label is not None:
                axes.imshow(
                    label.take(place, axis),
                    cmap=colors,
                    vmin=-0.5,
                    vmax=colors.N - 0.5,
                    alpha=0.55,
                    interpolation="nearest",
                    aspect=aspect,
                    origin=up,
                )
            axes.set_xticks([])
            axes.set_yticks([])
            if row == 0:
                axes.set_title(title, fontsize=9)
            if column == 0 and len(axes_shown) == 3:
                axes.set_ylabel(f"{PLANES[axis]}, slice {place}", fontsize=8)
    _legend(figure, colors, names)
    if heading:
        figure.suptitle(heading, fontsize=10)
    return figure


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


def _fullest(label: np.ndarray) -> tuple[int, ...]:
    """Along every axis, the slice with most foreground; the middle one if there is none."""
    if not (foreground := label > 0).any() or foreground.all():
        return tuple(length // 2 for length in label.shape)
    others = [tuple(o for o in range(3) if o != axis) for axis in range(3)]
    return tuple(int(foreground.sum(axis=rest).argmax()) for rest in others)


def _legend(figure: Figure, colors: ListedColormap, names: Sequence[str]) -> None:
    patches = [Patch(color=colors(index), label=name) for index, name in enumerate(names) if index]
    figure.legend(
        handles=patches, loc="outside lower center", ncols=min(4, len(patches)), fontsize=8
    )


def _number(value: float | None) -> str:
    return "-" if value is None or not np.isfinite(value) else f"{value:.4g}"
