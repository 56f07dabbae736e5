"""Networks of the plugin's layers: plain ``nn.Module``, from volumes to logits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo_segmentation.layers.pyramid import PyramidLSTM, StrategyName


class PyramidLSTMNet(nn.Module):
    """PyraMiD-LSTM layers, each followed by a fully connected layer for every voxel.

    With ``block`` 1 and the sizes 16, 25, 32, 45, 64 the network of the paper. A larger
    ``block`` makes the voxels of every block of that side the channels of one position, and the
    last layer gives back logits for each of them: at side 2 a scan costs an eighth. Where voxels
    are longer along one axis than along the others, ``block`` takes a side for each axis.

    Args:
        in_channels: Channels of the volumes.
        num_classes: Channels of the logits.
        hidden: Channels of each LSTM layer.
        fully_connected: Units of the layers between them (tanh), one fewer.
        kernel_size: Side of the LSTMs' windows, odd.
        spatial_dims: 3, or 2 for images.
        block: Side of the blocks that are scanned as one position, or one side for each axis.
        skip: The last layer sees the input and all LSTM layers, and not only the last.
        dropout: Probability of zeroing a channel before a fully connected layer.
        init: ``paper``: U(-0.1, 0.1) and biases 0. ``scaled``: U within the inverse square root
            of a layer's inputs, and forget gates that begin open (bias 1).
        checkpoint: Recompute scans in the backward pass, for memory.
        strategy: How scans are computed; see ``PyramidLSTM``.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        hidden: Sequence[int] = (16, 32, 64),
        fully_connected: Sequence[int] = (25, 45),
        kernel_size: int = 7,
        spatial_dims: int = 3,
        block: int | Sequence[int] = 1,
        skip: bool = False,
        dropout: float = 0.0,
        init: str = "paper",
        checkpoint: bool = False,
        strategy: StrategyName = "auto",
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.spatial_dims = spatial_dims
        self.block = sides(block, spatial_dims)
        self.skip = skip
        positions = math.prod(self.block)
        first = width = in_channels * positions
        self.lstms = nn.ModuleList()
        self.between = nn.ModuleList()
        for index, units in enumerate(hidden):
            self.lstms.append(
                PyramidLSTM(width, units, kernel_size, spatial_dims, checkpoint, strategy)
            )
            if index < len(hidden) - 1:
                width = fully_connected[index]
                self.between.append(pointwise(units, width, spatial_dims))
        seen = first + sum(hidden) if skip else hidden[-1]
        self.head = pointwise(seen, num_classes * positions, spatial_dims)
        self.dropout = nn.Dropout3d(dropout) if spatial_dims == 3 else nn.Dropout2d(dropout)
        self._initialize(init)

    def _initialize(self, init: str) -> None:
        for module in self.modules():
            if isinstance(module, PyramidLSTM):
                if init == "scaled":
                    seen = module.weight_x[0, 0].numel() + module.weight_h[0, 0].numel()
                    module.reset_parameters(seen**-0.5)
                    with torch.no_grad():
                        module.bias_x[:, module.hidden : 2 * module.hidden] = 1.0
            elif isinstance(module, nn.Conv2d | nn.Conv3d):
                bound = module.in_channels**-0.5 if init == "scaled" else 0.1
                nn.init.uniform_(module.weight, -bound, bound)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Segment.

        Args:
            x: (N, in_channels, D, H, W), or (N, in_channels, H, W) for images; any size.

        Returns:
            Logits (N, num_classes, ...) of the same size.
        """
        size = x.shape[2:]
        x = to_blocks(x, self.block)
        seen = [x]
        for index, lstm in enumerate(self.lstms):
            x = lstm(x)
            seen.append(x)
            x = self.dropout(x)
            if index < len(self.between):
                x = self.between[index](x).tanh()
        if self.skip:
            x = torch.cat([part.to(x.dtype) for part in seen[:-1]] + [x], dim=1)
        return from_blocks(self.head(x), self.block, size)


def pointwise(inputs: int, outputs: int, spatial_dims: int) -> nn.Conv2d | nn.Conv3d:
    """A fully connected layer for every voxel: a convolution with windows of 1."""
    return (nn.Conv3d if spatial_dims == 3 else nn.Conv2d)(inputs, outputs, 1)


def sides(block: int | Sequence[int], spatial_dims: int) -> list[int]:
    """The side of a block along each axis."""
    return [block] * spatial_dims if isinstance(block, int) else list(block)


def to_blocks(x: Tensor, block: Sequence[int]) -> Tensor:
    """Make the voxels of every block of those sides channels; zeros fill up the last blocks."""
    if set(block) == {1}:
        return x
    pairs = list(zip(x.shape[2:], block, strict=True))
    x = F.pad(x, [edge for length, side in reversed(pairs) for edge in (0, -length % side)])
    batch, channels, *size = x.shape
    counts = [length // side for length, side in zip(size, block, strict=True)]
    x = x.reshape(batch, channels, *(n for pair in zip(counts, block, strict=True) for n in pair))
    dims = len(size)
    order = [0, 1, *range(3, 3 + 2 * dims, 2), *range(2, 2 + 2 * dims, 2)]
    return x.permute(order).reshape(batch, channels * math.prod(block), *counts)


def from_blocks(x: Tensor, block: Sequence[int], size: Sequence[int]) -> Tensor:
    """Undo ``to_blocks``, down to the given size."""
    if set(block) == {1}:
        return x
    batch, channels, *counts = x.shape
    dims = len(counts)
    x = x.reshape(batch, channels // math.prod(block), *block, *counts)
    order = [0, 1, *(axis for d in range(dims) for axis in (2 + dims + d, 2 + d))]
    whole = [count * side for count, side in zip(counts, block, strict=True)]
    x = x.permute(order).reshape(batch, -1, *whole)
    for axis, length in enumerate(size):
        x = x.narrow(2 + axis, 0, length)
    return x
