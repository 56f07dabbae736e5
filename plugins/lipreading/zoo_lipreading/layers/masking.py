"""Which frames of a padded batch are a clip's own.

Lengths lie on the CPU while the frames lie on a GPU: what depends on them, such as how many frames
there are to compute, is then known without waiting for the GPU. Lengths on the frames' own device
give the same.
"""

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


def placed_like(lengths: Tensor, other: Tensor) -> Tensor:
    """Lengths, or what was made of them, on another tensor's device, without waiting for it."""
    return lengths.to(other.device, non_blocking=True)


def chosen(values: Tensor, mask: Tensor) -> Tensor:
    """``values[mask]``.

    Args:
        values: (N, T, ...).
        mask: bool (N, T), on the CPU or on the device of the values.

    Returns:
        (M, ...).
    """
    if mask.device == values.device:
        return values[mask]
    places = placed_like(mask.flatten().nonzero()[:, 0], values)
    return values.flatten(0, 1).index_select(0, places)


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
    lengths = placed_like(lengths, sequence)
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
    device = video.device if lengths is None else lengths.device
    place = torch.arange(frames, device=device).expand(count, frames)
    if lengths is None:
        return video.flatten(0, 1), (place == 0).flatten(), (place == frames - 1).flatten()
    own = valid_frames(lengths, frames)
    first, last = (place == 0)[own], (place == lengths[:, None] - 1)[own]
    return chosen(video, own), placed_like(first, video), placed_like(last, video)


def pad_frames(vectors: Tensor, lengths: Tensor | None, shape: tuple[int, int]) -> Tensor:
    """Undo ``own_frames``: (M, F) to (N, T, F), zero after each clip's end."""
    if lengths is None:
        result: Tensor = vectors.unflatten(0, shape)
        return result
    padded = vectors.new_zeros(*shape, vectors.shape[-1])
    own = valid_frames(lengths, shape[1])
    if own.device == vectors.device:
        padded[own] = vectors
        return padded
    places = placed_like(own.flatten().nonzero()[:, 0], vectors)
    filled: Tensor = padded.flatten(0, 1).index_copy(0, places, vectors).unflatten(0, shape)
    return filled
