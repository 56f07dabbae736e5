"""From mouth images to a vector for each frame."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}


class Deltas(nn.Module):
    """Adds each frame's change against its neighbors as further channels.

    The first difference is half of next minus previous frame, the second that of the first; at
    the ends a clip is continued by its first and its last frame.

    Args:
        order: 0 keeps the images alone, 1 adds the first difference, 2 the second too.
    """

    def __init__(self, order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, frames: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """Add differences.

        Args:
            frames: (M, H, W), frames of clips one after the other.
            first: bool (M,), whether a frame begins its clip.
            last: bool (M,), whether it ends it.

        Returns:
            (M, order + 1, H, W).
        """
        place = torch.arange(frames.shape[0], device=frames.device)
        before = place - (~first).long()
        after = place + (~last).long()
        orders = [frames]
        for _ in range(self.order):
            orders.append((orders[-1][after] - orders[-1][before]) / 2)
        return torch.stack(orders, dim=1)


class ConvolutionalFront(nn.Module):
    """Convolutions over each frame, every one halving height and width.

    Args:
        in_channels: Channels of a frame, its differences included.
        image_size: (H, W) of a frame.
        channels: Output channels of each convolution.
        dropout: Rate of dropping whole channels after the last.
    """

    def __init__(
        self,
        in_channels: int,
        image_size: tuple[int, int],
        channels: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        height, width = image_size
        layers: list[nn.Module] = []
        for index, count in enumerate(channels):
            kernel = 5 if index == 0 else 3
            layers += [
                nn.Conv2d(in_channels, count, kernel, stride=2, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(count),
                nn.ReLU(),
            ]
            in_channels = count
            height, width = (height + 1) // 2, (width + 1) // 2
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout2d(dropout)
        self.features = in_channels * height * width

    def forward(self, frames: Tensor) -> Tensor:
        """(N, C, H, W) to (N, features)."""
        result: Tensor = self.dropout(self.layers(frames)).flatten(1)
        return result


class FrameLayers(nn.Module):
    """Feed-forward layers on each frame, with dropout after each.

    Args:
        in_features: Length of a frame's vector.
        sizes: Units of each layer; none keeps the vector.
        activation: ``tanh`` or ``relu``.
        dropout: Rate.
    """

    def __init__(
        self, in_features: int, sizes: Sequence[int], activation: str, dropout: float
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for size in sizes:
            self.layers.append(
                nn.Sequential(
                    nn.Linear(in_features, size), ACTIVATIONS[activation](), nn.Dropout(dropout)
                )
            )
            in_features = size
        self.features = in_features

    def forward(self, frames: Tensor) -> list[Tensor]:
        """(..., in_features) to the outputs of every layer, (..., size)."""
        outputs = []
        for layer in self.layers:
            frames = layer(frames)
            outputs.append(frames)
        return outputs
