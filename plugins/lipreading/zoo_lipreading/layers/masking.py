"""Which frames of a padded batch are a clip's own."""

from __future__ import annotations

import torch
from torch import Tensor


def valid_frames(lengths: Tensor, frames: int) -> Tensor:
    """Mask of the frames before each clip's end.

    Args:
        lengths: int64 (N,), frames of each clip.
        frames: Frames of the padded batch.

    Returns:
        bool (N, frames).
    """
    return torch.arange(frames, device=lengths.device) < lengths[:, None]


def masked_mean(sequence: Tensor, lengths: Tensor | None) -> Tensor:
    """Mean over a clip's own frames.

    Args:
        sequence: (N, T, F).
        lengths: int64 (N,); None where every frame counts.

    Returns:
        (N, F).
    """
    if lengths is None:
        return sequence.mean(dim=1)
    mask = valid_frames(lengths, sequence.shape[1])[..., None].to(sequence.dtype)
    return (sequence * mask).sum(dim=1) / lengths[:, None].to(sequence.dtype)
