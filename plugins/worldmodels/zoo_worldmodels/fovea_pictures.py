"""Pictures of a fovea's ways: drawn over the scenes, and as films."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from torch import Tensor

from zoo_rl.plots import save_gif
from zoo_worldmodels.fovea_scenes import ACROSS, FINE, FOUND, GROUND, LEVELS, SIDE, Scenes

_SCALE = 4  # pixels of a film for one of a picture


def drawn_paths(scenes: Scenes, places: Tensor, shown: int = 10) -> Figure:
    """Ways over pictures, each from a cross to a circle.

    Args:
        scenes: N pictures.
        places: (N, T + 1, 2), in pixels.
        shown: Pictures, at most.
    """
    count = min(shown, len(places))
    columns = min(5, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(1.8 * columns, 1.85 * rows), layout="constrained")
    for number, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.axis("off")
        if number < count:
            x, y = places[number].T.numpy()
            axes.imshow(scenes.pictures[number].numpy(), cmap="gray", vmin=0, vmax=1)
            axes.plot(x, y, color="C1", linewidth=1, marker=".", markersize=3)
            axes.plot(x[0], y[0], "x", color="C1", markersize=7)
            axes.plot(x[-1], y[-1], "o", color="C1", markersize=9, fillstyle="none")
    return figure


def drawn_distances(distances: Tensor) -> Figure:
    """Median distance to the target after each move, and the band of nine tenths.

    Args:
        distances: (N, T + 1), in pixels.
    """
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes = figure.add_subplot()
    low, middle, high = np.quantile(distances.numpy(), [0.05, 0.5, 0.95], axis=0)
    moves = range(len(middle))
    axes.fill_between(moves, low, high, alpha=0.2, label="nine of ten starts")
    axes.plot(moves, middle, marker=".", label="median")
    axes.axhline(FOUND, color="black", linestyle="--", linewidth=1, label="found")
    axes.set(xlabel="moves", ylabel="pixels to the target", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def save_fovea_gif(picture: Tensor, path: Tensor, seen: Tensor, file: Path) -> None:
    """Write a way as an animated GIF: the picture at the left, what the fovea sees at the right.

    Args:
        picture: (64, 64), from 0 to 1.
        path: The fovea's centers (T + 1, 2).
        seen: By its receptive fields (T + 1, INPUTS).
        file: Where it goes.
    """
    frames = [
        np.concatenate([_scene(picture, path[: step + 1]), _glance(seen[step])], axis=1)
        for step in range(len(path))
    ]
    save_gif(frames + frames[-1:] * 4, file, fps=4)


def _scene(picture: Tensor, path: Tensor) -> np.ndarray:
    """The picture with the way so far and the squares that the levels see: uint8 (256, 256, 3)."""
    side = SIDE * _SCALE
    image = Image.fromarray((picture.numpy() * 255).astype(np.uint8)).convert("RGB")
    image = image.resize((side, side), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(image)
    points = [(_SCALE * (x + 0.5), _SCALE * (y + 0.5)) for x, y in path.tolist()]
    if len(points) > 1:
        draw.line(points, fill="orange", width=2)
    x, y = points[-1]
    for spacing, wide in LEVELS:
        half = _SCALE * ((ACROSS - 1) * spacing + wide) / 2
        draw.rectangle((x - half, y - half, x + half, y + half), outline="deepskyblue")
    return np.asarray(image)


def _glance(seen: Tensor) -> np.ndarray:
    """The levels within each other, the finest in the middle: uint8 (256, 256, 3)."""
    side = SIDE * _SCALE
    canvas = Image.new("L", (side, side))
    outermost = _extent(len(LEVELS) - 1)
    for level in reversed(range(len(LEVELS))):
        fields = GROUND + seen[level * FINE : (level + 1) * FINE].view(ACROSS, ACROSS).numpy()
        width = round(side * _extent(level) / outermost)
        pasted = Image.fromarray((fields.clip(0, 1) * 255).astype(np.uint8))
        pasted = pasted.resize((width, width), Image.Resampling.NEAREST)
        canvas.paste(pasted, ((side - width) // 2, (side - width) // 2))
    return np.asarray(canvas.convert("RGB"))


def _extent(level: int) -> float:
    spacing, _ = LEVELS[level]
    return ACROSS * spacing
