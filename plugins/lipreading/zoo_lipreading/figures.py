"""Pictures of lipreaders at work."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from zoo.figures import contact_sheet

_SHOWN = 16


def clip_sheet(video: Tensor, lengths: Tensor, titles: Sequence[str]) -> Figure:
    """Three frames of each clip, one above the other, under a title.

    Args:
        video: (N, T, H, W), of any range.
        lengths: int64 (N,), frames of each clip.
        titles: One for each clip.
    """
    pictures = []
    for clip, length in zip(video[:_SHOWN].float().cpu(), lengths[:_SHOWN].tolist(), strict=True):
        chosen = [round((length - 1) * share) for share in (0.25, 0.5, 0.75)]
        pictures.append(_stretched(clip[chosen].flatten(0, 1).numpy()))
    return contact_sheet(pictures, list(titles[:_SHOWN]), heading="true -> read, confidence")


def _stretched(picture: np.ndarray) -> np.ndarray:
    low, high = np.percentile(picture, [1, 99])
    return np.clip((picture - low) / max(high - low, 1e-6), 0, 1)
