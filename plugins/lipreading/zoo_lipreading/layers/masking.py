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


def own_frames(video: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """The clips' own frames one after the other, without the padding.

    Args:
        video: (N, T, ...).
        lengths: int64 (N,); None where every frame counts.

    Returns:
        Frames (M, ...); and for each, bool (M,), whether it is its clip's first, and last.
    """
    count, frames = video.shape[:2]
    place = torch.arange(frames, device=video.device).expand(count, frames)
    if lengths is None:
        return video.flatten(0, 1), (place == 0).flatten(), (place == frames - 1).flatten()
    own = valid_frames(lengths, frames)
    return video[own], (place == 0)[own], (place == lengths[:, None] - 1)[own]


def pad_frames(vectors: Tensor, lengths: Tensor | None, shape: tuple[int, int]) -> Tensor:
    """Undo ``own_frames``: (M, F) to (N, T, F), zero after each clip's end."""
    if lengths is None:
        result: Tensor = vectors.unflatten(0, shape)
        return result
    padded = vectors.new_zeros(*shape, vectors.shape[-1])
    padded[valid_frames(lengths, shape[1])] = vectors
    return padded
