"""Pictures of poles: paths over time, and films."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from torch import Tensor

from zoo_rl.plots import save_gif
from zoo_worldmodels import pole

_WIDTH, _HEIGHT = 240, 120


def drawn_balance(states: Tensor, steps: Tensor, worst: int = 5) -> Figure:
    """Position and angle over time, of the episodes that ended first.

    Args:
        states: (N, T + 1, 4).
        steps: Steps balanced, (N,).
        worst: How many episodes.
    """
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    names = (("position, m", 0, 1.0), ("angle, degrees", 2, 180 / np.pi))
    for axes, (name, index, unit) in zip(figure.subplots(2, 1, sharex=True), names, strict=True):
        for episode in steps.argsort(stable=True)[:worst].tolist():
            path = states[episode, : int(steps[episode]) + 1, index] * unit
            axes.plot(path.numpy(), linewidth=0.8)
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
    axes.set_xlabel("steps of 0.02 s")
    return figure


def pole_frame(state: Tensor) -> np.ndarray:
    """A cart with its pole: uint8 (120, 240, 3).

    Args:
        state: (4,).
    """
    image = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    draw = ImageDraw.Draw(image)
    x, angle = float(state[0]), float(state[2])
    middle = _WIDTH / 2 * (1 + x / (1.1 * pole.MAX_POSITION))
    draw.line((0, 95, _WIDTH, 95), fill="gray")
    draw.rectangle((middle - 14, 85, middle + 14, 95), fill="black")
    end = (middle + 65 * np.sin(angle), 85 - 65 * np.cos(angle))
    draw.line((middle, 85, *end), fill="firebrick", width=5)
    return np.asarray(image)


def save_pole_gif(states: Tensor, path: Path, substeps: int = 1) -> None:
    """Write an episode as an animated GIF, in real time.

    Args:
        states: (T, 4).
        path: The file.
        substeps: Of 0.02 s, between two states.
    """
    save_gif([pole_frame(state) for state in states], path, fps=1 / (substeps * pole.STEP))
