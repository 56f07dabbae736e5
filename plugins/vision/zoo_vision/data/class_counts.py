"""How many images each class has, and what is told of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_LISTED = 12
_UNEVEN = 3
"""From this ratio of the largest class to the smallest on, what helps is named."""


def count_classes(labels: Tensor, classes: int) -> list[int]:
    """Images of each class.

    Args:
        labels: int64 (N,) classes, or uint8 (N, classes) where several may hold.
        classes: How many there are.
    """
    counts = labels.sum(0) if labels.ndim == 2 else torch.bincount(labels, minlength=classes)
    return [int(count) for count in counts]


def class_shares(labels: Tensor, classes: int) -> list[float]:
    """Which share of the images has each class; arguments as of `count_classes`."""
    return [round(count / max(len(labels), 1), 6) for count in count_classes(labels, classes)]


def balancing_weights(labels: Tensor) -> Tensor:
    """How often to draw each image so that every class comes as often: float64 (N,).

    An image of several classes is drawn for the rarest; those of none count as a class.

    Args:
        labels: As in `count_classes`.
    """
    if labels.ndim == 1:
        return 1 / torch.bincount(labels).double()[labels]
    held = torch.cat([labels, (labels.sum(1, keepdim=True) == 0).to(labels.dtype)], 1).double()
    weights: Tensor = (held / held.sum(0).clamp(min=1)).amax(1)
    return weights


def sentence(counts: Sequence[int], names: Sequence[str], of: int, balanced: bool = False) -> str:
    """What is told of the training images.

    Args:
        counts: Of each class.
        names: Of the classes.
        of: All images; more or fewer than the sum where several labels may hold.
        balanced: Whether they are drawn as often as each other anyway.
    """
    order = sorted(range(len(counts)), key=lambda index: -counts[index])
    shown: list[int | None] = [*order]
    if len(counts) > _LISTED:
        shown[2:-2] = [None]
    text = ", ".join("..." if i is None else f"{names[i]} {counts[i]}" for i in shown)
    if sum(counts) != of:
        text += f" of {of}"
    smallest = min((count for count in counts if count), default=0)
    if smallest and counts[order[0]] >= _UNEVEN * smallest and not balanced:
        text += (
            f"; the largest has {counts[order[0]] / smallest:.3g} times as many as the smallest "
            "(--model.class_weights balanced weights the loss, --data.sampler balanced draws every "
            "class as often)"
        )
    return f"training images of each class: {text}"
