"""Random changes of a batch of clips while training."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo_lipreading.layers.masking import placed_like, valid_frames


class Augmentation(nn.Module):
    """Moves, mirrors, brightens, stretches and masks clips, each in its own way; all its frames
    alike.

    Draws from torch's global generator, and only while training.

    Args:
        shift: Largest move, as a fraction of height and of width.
        scaling: Largest change of size, as a fraction.
        rotation: Largest rotation, degrees.
        flip: Probability of a mirror image, left for right.
        intensity: Standard deviation of a random offset and of the logarithm of a random gain
            of the normalized gray values.
        tempo: Largest change of speed, as a fraction; the clip's length changes with it.
        frame_mask: Longest run of frames replaced by zeros (the mean of normalized images).
    """

    def __init__(
        self,
        shift: float = 0.0,
        scaling: float = 0.0,
        rotation: float = 0.0,
        flip: float = 0.0,
        intensity: float = 0.0,
        tempo: float = 0.0,
        frame_mask: int = 0,
    ) -> None:
        super().__init__()
        self.shift, self.scaling, self.rotation = shift, scaling, rotation
        self.flip, self.intensity = flip, intensity
        self.tempo, self.frame_mask = tempo, frame_mask

    def forward(self, video: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Change clips; in evaluation nothing.

        Args:
            video: float (N, T, H, W), normalized, padded after each clip's end.
            lengths: int64 (N,), frames of each clip.

        Returns:
            Video (N, T', H, W) and lengths (N,).
        """
        if not self.training:
            return video, lengths
        if self.tempo:
            video, lengths = self._stretch(video, lengths)
        if self.shift or self.scaling or self.rotation or self.flip:
            video = self._move(video)
        if self.intensity:
            gain, offset = torch.randn(2, len(video), 1, 1, 1, device=video.device)
            video = video * (gain * self.intensity).exp() + offset * self.intensity
        own = valid_frames(lengths, video.shape[1])
        if self.frame_mask:
            own = own & ~self._runs(lengths, video.shape[1])
        return video * placed_like(own, video)[..., None, None], lengths

    def _stretch(self, video: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        # Drawn where the lengths lie, which decide on the shape of what follows.
        factor = 1 + self.tempo * _uniform(len(video), lengths, video.dtype)
        new = (lengths * factor).round().long().clamp(min=1)
        frames = int(new.max())
        position = torch.arange(frames, device=lengths.device) + 0.5
        source = position * (lengths / new)[:, None] - 0.5
        source = source.clamp(min=0).minimum((lengths - 1)[:, None])
        below = source.floor().long()
        above = (below + 1).minimum((lengths - 1)[:, None])
        rows = torch.arange(len(video), device=video.device)[:, None]
        weight = placed_like(source - below, video)[..., None, None]
        below, above = placed_like(below, video), placed_like(above, video)
        return video[rows, below] * (1 - weight) + video[rows, above] * weight, new

    def _move(self, video: Tensor) -> Tensor:
        count, frames, height, width = video.shape
        size = 1 + self.scaling * _uniform(count, video)
        angle = torch.deg2rad(self.rotation * _uniform(count, video))
        mirror = 1 - 2 * (torch.rand(count, device=video.device) < self.flip).to(video.dtype)
        cos, sin = angle.cos() * size, angle.sin() * size
        aspect = height / width
        rows = torch.stack(
            [
                torch.stack([mirror * cos, -sin * aspect, 2 * self.shift * _uniform(count, video)]),
                torch.stack([mirror * sin / aspect, cos, 2 * self.shift * _uniform(count, video)]),
            ]
        )
        grid = F.affine_grid(
            rows.permute(2, 0, 1), [count, frames, height, width], align_corners=False
        )
        return F.grid_sample(
            video, grid.to(video.dtype), padding_mode="border", align_corners=False
        )

    def _runs(self, lengths: Tensor, frames: int) -> Tensor:
        """A run of frames in each clip, of 0 to ``frame_mask`` frames, as a mask (N, frames)."""
        long = torch.rand(len(lengths), device=lengths.device) * (self.frame_mask + 1)
        start = torch.rand(len(lengths), device=lengths.device) * lengths
        index = torch.arange(frames, device=lengths.device)
        start, long = start.floor()[:, None], long.floor()[:, None]
        return (index >= start) & (index < start + long)


def _uniform(count: int, like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """``count`` numbers from -1 to 1, on the device of another tensor and in its dtype."""
    return torch.rand(count, device=like.device, dtype=dtype or like.dtype) * 2 - 1
