"""Plots of agents: learning curves over seeds, what was asked against what came, GIFs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from zoo_rl.statistics import bootstrap_interval

Curve = Sequence[tuple[float, float]]
"""Points (steps, return), by rising steps."""
_INSIDE = 3
"""Entries of a legend that has room among the curves."""


def learning_curve(
    runs: Mapping[str, Sequence[Curve]],
    references: Mapping[str, float] | None = None,
    xlabel: str = "environment steps",
    ylabel: str = "return",
    title: str = "",
    points: int = 200,
) -> Figure:
    """The mean over seeds of each method, with its 95 % bootstrap interval.

    The seeds' curves are read off, by linear interpolation, at common steps up to the end of the
    shortest, and drawn thinly behind their mean.

    Args:
        runs: Method to its seeds' curves.
        references: Label to a value, each a horizontal line that the legend names.
        xlabel: Under the axis.
        ylabel: Beside the axis.
        title: Above.
        points: Steps at which the mean is drawn.

    Raises:
        ValueError: a method has no curve, or a curve no points.
    """
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.add_subplot()
    for index, (method, curves) in enumerate(runs.items()):
        if not curves or any(len(curve) == 0 for curve in curves):
            raise ValueError(f"{method!r} has no curve, or one without points")
        color = f"C{index}"
        arrays = [np.asarray(curve, dtype=np.float64) for curve in curves]
        for array in arrays if len(arrays) > 1 else ():
            axes.plot(array[:, 0], array[:, 1], color=color, alpha=0.25, linewidth=0.7)
        start, end = max(a[0, 0] for a in arrays), min(a[-1, 0] for a in arrays)
        steps = np.linspace(start, end, points) if len(arrays) > 1 else arrays[0][:, 0]
        values = np.stack([np.interp(steps, a[:, 0], a[:, 1]) for a in arrays])
        seeds = f"{len(arrays)} seed" + ("s" if len(arrays) > 1 else "")
        axes.plot(steps, values.mean(axis=0), color=color, label=f"{method} ({seeds})")
        if len(arrays) > 1:
            low, high = np.transpose([bootstrap_interval(column) for column in values.T])
            axes.fill_between(steps, low, high, color=color, alpha=0.2, linewidth=0)
    for (label, value), style in zip((references or {}).items(), cycle(("--", ":", "-."))):
        axes.axhline(value, color="black", linestyle=style, linewidth=1, label=label)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axes.grid(alpha=0.3)
    entries = len(runs) + len(references or {})
    if entries > _INSIDE:  # a legend of many lines would lie on the curves
        figure.set_figheight(4 + 0.2 * -(-entries // 2))
        figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    else:
        axes.legend(loc="best", fontsize=8)
    return figure


def commanded_and_achieved(commanded: Sequence[float], achieved: Sequence[float]) -> Figure:
    """A point an episode: the return that was asked for, and the one that came.

    Args:
        commanded: Desired returns.
        achieved: Returns, in the same order.
    """
    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(commanded, achieved, s=12, alpha=0.6)
    both = [*commanded, *achieved]
    ends = (min(both, default=0.0), max(both, default=1.0))
    axes.plot(ends, ends, color="black", linestyle="--", linewidth=1, label="as asked")
    axes.set(xlabel="commanded return", ylabel="achieved return")
    axes.set_title(f"{len(achieved)} episodes")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def save_gif(frames: Sequence[np.ndarray], path: Path, fps: float = 30, width: int = 300) -> None:
    """Write an animated GIF that repeats, making its folder.

    GIF counts hundredths of a second and viewers slow down below two of them: at more than 50
    frames a second frames are left out instead.

    Args:
        frames: Images uint8 (H, W, 3) or (H, W), one or more of the same size.
        path: The file.
        fps: Frames a second.
        width: Pixels; larger frames are made smaller, smaller ones stay.

    Raises:
        ValueError: there are no frames, or ``fps`` is not above 0.
    """
    if len(frames) == 0 or fps <= 0:
        raise ValueError("a GIF needs one frame or more, and fps above 0")
    every = max(1, round(fps / 50 + 0.49))
    shown = frames[::every]
    images = [Image.fromarray(np.ascontiguousarray(frame)).convert("RGB") for frame in shown]
    if images[0].width > width:
        height = round(images[0].height * width / images[0].width)
        images = [image.resize((width, height), Image.Resampling.BILINEAR) for image in images]
    # One palette for all, made from some of them: colors stay still and files small.
    some = images[:: max(1, len(images) // 8)]
    palette = Image.fromarray(np.concatenate([np.asarray(image) for image in some])).quantize(64)
    quantized = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    path.parent.mkdir(parents=True, exist_ok=True)
    quantized[0].save(
        path,
        save_all=True,
        append_images=quantized[1:],
        duration=max(20, round(100 * every / fps) * 10),
        loop=0,
    )
