"""Plots of lipreaders at work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from zoo.plugin import plots

_SHOWN = 16
_LEVEL = 5
"""Noise levels whose names have room side by side."""
_LIKELY = 0.2
"""Symbols that are nowhere more probable get no row."""


def clip_sheet(
    video: Tensor,
    lengths: Tensor,
    titles: Sequence[str],
    heading: str = "true -> read, confidence",
) -> Figure:
    """Three frames of each clip, one above the other, under a title.

    Args:
        video: (N, T, H, W), of any range.
        lengths: int64 (N,), frames of each clip.
        titles: One for each clip.
        heading: A line above.
    """
    images = []
    for clip, length in zip(video[:_SHOWN].float().cpu(), lengths[:_SHOWN].tolist(), strict=True):
        chosen = [round((length - 1) * part) for part in (0.25, 0.5, 0.75)]
        images.append(_stretched(clip[chosen].flatten(0, 1).numpy()))
    return plots.contact_sheet(images, list(titles[:_SHOWN]), heading=heading)


def emission_map(
    probs: Tensor, names: Sequence[str], frame_rate: float, heading: str = ""
) -> Figure:
    """Probabilities of symbols over a clip, a row a symbol that was ever likely.

    Args:
        probs: (T, symbols), of one clip.
        names: What the symbols mean, CTC's blank first.
        frame_rate: Frames a second.
        heading: A line above.
    """
    rows = probs.detach().cpu().numpy().T
    chosen = [index for index in range(len(rows)) if rows[index].max() > _LIKELY] or [0]
    figure = Figure(figsize=(9, 1.6 + 0.3 * len(chosen)), layout="constrained")
    axes = figure.add_subplot()
    seconds = rows.shape[1] / frame_rate
    image = axes.imshow(
        rows[chosen],
        aspect="auto",
        cmap="Blues",
        vmin=0,
        vmax=1,
        extent=(0, seconds, len(chosen) - 0.5, -0.5),
        interpolation="nearest",
    )
    axes.set_yticks(range(len(chosen)), [_spoken(names[index]) for index in chosen], fontsize=10)
    axes.set_xlabel("seconds")
    axes.set_title(heading, fontsize=10)
    figure.colorbar(image, ax=axes, label="probability", pad=0.01)
    return figure


def _spoken(symbol: str) -> str:
    """A symbol's name for people."""
    return {"<blank>": "blank", " ": "space"}.get(symbol, symbol)


def noise_curves(
    names: Sequence[str],
    accuracies: Mapping[str, Sequence[float]],
    saliency: Mapping[str, Sequence[float]],
) -> Figure:
    """What noise in the sound does to a model of two streams.

    Args:
        names: Noise levels, from clean to loudest.
        accuracies: Stream to its accuracy at each level.
        saliency: Stream to the norm of its input's gradient at each level; drawn as fractions.
    """
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    places = range(len(names))
    left, right = figure.subplots(1, 2)
    for stream, values in accuracies.items():
        left.plot(places, values, marker="o", label=stream)
    left.set_ylabel("accuracy")
    left.set_ylim(0, 1)
    total = np.sum([list(values) for values in saliency.values()], axis=0)
    for stream, values in saliency.items():
        fractions = np.divide(values, total, out=np.zeros(len(names)), where=total > 0)
        right.plot(places, fractions, marker="o", label=stream)
    right.set_ylabel("fraction of the input gradient's norm")
    right.set_ylim(0, 1)
    for axes in (left, right):
        axes.set_xticks(places, names, rotation=45 if len(names) > _LEVEL else 0)
        axes.set_xlabel("noise in the sound (signal-to-noise ratio)")
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def _stretched(image: np.ndarray) -> np.ndarray:
    low, high = np.percentile(image, [1, 99])
    stretched: np.ndarray = np.clip((image - low) / max(high - low, 1e-6), 0, 1)
    return stretched
