"""The PyraMiD-LSTM layer: convolutional LSTMs along every axis, in both senses, summed.

A volume (N, C, D, H, W) is scanned six times, in the order +D, -D, +H, -H, +W, -W; an image
(N, C, H, W) four times, along H and W. A scan along D takes the slabs x_1, x_2, ... (N, C, H, W)
one after another, in the other sense from the last to the first, and turns each into a hidden
state of the same size, h_t (N, hidden, H, W), from a cell state c_t likewise::

    i, f, o = sigmoid(Wx * x_t + bx + Wh * h_{t-1} + bh)
    c~      = tanh   (likewise)
    c_t     = i c~ + f c_{t-1}
    h_t     = o tanh(c_t)

with ``*`` a zero-padded cross-correlation; at the first slab the terms of Wh, bh and f are left
out. There are no peepholes. The hidden states, put together along D again, are one volume
(N, hidden, D, H, W) a scan, and the output is the sum of these volumes. As a state sees a window
of the state before, a voxel sees a pyramid along every direction: together the whole volume.

``PyramidLSTM.scan`` is these equations, line by line, and ``PyramidLSTM.sum_of_scans`` their sum:
what the layer computes with ``strategy="loop"``. The other strategies give the same up to
rounding, faster and in less memory; they lie in ``zoo_segmentation.layers.scan``, which nobody
has to open to understand the layer.

Source: Stollenga, Byeon, Liwicki, Schmidhuber: Parallel Multi-Dimensional LSTM, With Application
to Fast Biomedical Volumetric Image Segmentation, NIPS 2015 (arXiv:1506.07452), section 3.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recompute

from zoo.plugin import CudaGraphs
from zoo_segmentation.layers.scan import GRAPHED, STRATEGIES, fast_sum_of_scans
from zoo_segmentation.layers.scan.exported import graph_scan
from zoo_segmentation.layers.scan.fused_cell import has_triton

StrategyName = Literal["auto", "loop", "dense", "hoisted", "paired", "grouped", "fused", "graphed"]


class PyramidLSTM(nn.Module):
    """Convolutional LSTMs along every axis, in both senses, summed: see the module.

    States are float32 also under autocast, which decides the dtype of the convolutions; then the
    output is float32.

    The parameters are stacked over the directions, in the order +D, -D, +H, -H, +W, -W (without
    the first two for images), and hold the gates in the order i, f, o, c~: ``weight_x``
    (directions, 4 hidden, in_channels, k, k), ``weight_h`` (directions, 4 hidden, hidden, k, k),
    ``bias_x`` and ``bias_h`` (directions, 4 hidden); for images the kernels are (1, k). They
    begin at U(-0.1, 0.1), as in the paper, and the biases at 0.

    Args:
        in_channels: Channels of the input.
        hidden: Channels of the states and of the output.
        kernel_size: Side of the convolutions' windows, odd.
        spatial_dims: 3 for volumes, 2 for images.
        checkpoint: Recompute the scans in the backward pass, a quarter of their length at a
            time, instead of keeping all states: a forward pass more, for the memory of one
            quarter (on a CPU: of as many as torch has threads) and the states between them.
        strategy: How the scans are computed: ``loop`` as the equations have it, ``dense``,
            ``hoisted``, ``paired``, ``grouped``, ``fused`` or ``graphed`` faster
            (``zoo_segmentation.layers.scan``), or ``auto``: ``dense`` on a CPU, ``graphed`` on a
            GPU of NVIDIA's where there is Triton, ``grouped`` on any other device. They differ by
            rounding alone. ``resolved_strategy`` says which it is.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        kernel_size: int,
        spatial_dims: int = 3,
        checkpoint: bool = False,
        strategy: StrategyName = "auto",
    ) -> None:
        super().__init__()
        if in_channels < 1 or hidden < 1:
            raise ValueError(f"in_channels {in_channels} and hidden {hidden} have to be 1 or more")
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size {kernel_size} has to be odd, to keep the slabs' size")
        if spatial_dims not in (2, 3):
            raise ValueError(f"spatial_dims {spatial_dims} has to be 2 or 3")
        if strategy not in ("auto", "loop", *STRATEGIES):
            raise ValueError(
                f"strategy {strategy!r}; there are auto, loop, {', '.join(STRATEGIES)}"
            )
        self.in_channels = in_channels
        self.hidden = hidden
        self.kernel_size = kernel_size
        self.spatial_dims = spatial_dims
        self.checkpoint = checkpoint
        self.strategy = strategy
        fused = partial(fast_sum_of_scans, strategy="fused", checkpoint=checkpoint)
        self._graphs = CudaGraphs(fused, "a PyraMiD-LSTM layer")
        directions = 2 * spatial_dims
        kernel = (1 if spatial_dims == 2 else kernel_size, kernel_size)
        self.weight_x = nn.Parameter(torch.empty(directions, 4 * hidden, in_channels, *kernel))
        self.weight_h = nn.Parameter(torch.empty(directions, 4 * hidden, hidden, *kernel))
        self.bias_x = nn.Parameter(torch.empty(directions, 4 * hidden))
        self.bias_h = nn.Parameter(torch.empty(directions, 4 * hidden))
        self.reset_parameters()

    # The equations

    def scan(self, volume: Tensor, direction: int) -> Tensor:
        """One convolutional LSTM along one direction, slab by slab, differentiated by autograd.

        Args:
            volume: (N, in_channels, D, H, W) in the dtype of the convolutions; D is 1 for images.
            direction: Place in the order +D, -D, +H, -H, +W, -W; for images +H, -H, +W, -W.

        Returns:
            The hidden states (N, hidden, D, H, W), float32 or wider.
        """
        axis = 5 - self.spatial_dims + direction // 2
        reverse = direction % 2 == 1
        weight_x, bias_x = self.weight_x[direction], self.bias_x[direction]
        weight_h, bias_h = self.weight_h[direction], self.bias_h[direction]
        padding = [side // 2 for side in weight_x.shape[-2:]]
        slabs = volume.unbind(axis)
        states = []
        h = c = None
        for x in reversed(slabs) if reverse else slabs:
            z = F.conv2d(x, weight_x, bias_x, padding=padding)
            if h is not None:
                z = z + F.conv2d(h.to(x.dtype), weight_h, bias_h, padding=padding)
            i, f, o, g = z.to(torch.promote_types(x.dtype, torch.float32)).chunk(4, dim=1)
            c = i.sigmoid() * g.tanh() + (0 if c is None else f.sigmoid() * c)
            h = o.sigmoid() * c.tanh()
            states.append(h)
        return torch.stack(states[::-1] if reverse else states, dim=axis)

    def sum_of_scans(self, volume: Tensor) -> Tensor:
        """The scans along all directions, summed: (N, hidden, D, H, W), from and to as ``scan``."""
        scan = self.scan
        if self.checkpoint and torch.is_grad_enabled():
            scan = partial(recompute, self.scan, use_reentrant=False)
        total = scan(volume, 0)
        for direction in range(1, 2 * self.spatial_dims):
            total = total + scan(volume, direction)
        return total

    # The layer

    def forward(self, x: Tensor) -> Tensor:
        """Scan along all directions, by the strategy.

        Args:
            x: (N, in_channels, D, H, W), or (N, in_channels, H, W) for images; any size.

        Returns:
            (N, hidden, D, H, W) or (N, hidden, H, W); but for ``loop`` channels last in memory.

        Raises:
            ValueError: the input has another shape.
        """
        if x.ndim != self.spatial_dims + 2 or x.shape[1] != self.in_channels:
            shape = "(N, {}, {})".format(self.in_channels, "D, H, W"[-3 * self.spatial_dims + 2 :])
            raise ValueError(f"the input has shape {tuple(x.shape)}; it has to be {shape}")
        mixed = torch.is_autocast_enabled(x.device.type)
        compute = torch.get_autocast_dtype(x.device.type) if mixed else x.dtype
        volume = x.unsqueeze(2) if self.spatial_dims == 2 else x
        if torch.compiler.is_exporting():
            result = self._in_a_graph(volume)
            return result.squeeze(2) if self.spatial_dims == 2 else result
        volume = volume.to(compute).contiguous(memory_format=torch.channels_last_3d)
        strategy = self.resolved_strategy
        if strategy == "loop":
            result = self.sum_of_scans(volume)
        else:
            weights = (self.weight_x, self.weight_h, self.bias_x, self.bias_h)
            if strategy == GRAPHED and volume.is_cuda:
                result = self._graphs(volume, *weights)
            else:
                result = fast_sum_of_scans(volume, *weights, strategy, self.checkpoint)
        result = result.to(torch.float32 if mixed else x.dtype)
        return result.squeeze(2) if self.spatial_dims == 2 else result

    def _in_a_graph(self, volume: Tensor) -> Tensor:
        """``sum_of_scans`` with each scan one operation."""
        parts = [
            graph_scan(
                volume,
                (self.weight_x[direction], self.weight_h[direction]),
                (self.bias_x[direction], self.bias_h[direction]),
                5 - self.spatial_dims + direction // 2,
                direction % 2 == 1,
            )
            for direction in range(2 * self.spatial_dims)
        ]
        return torch.stack(parts).sum(dim=0)

    @property
    def resolved_strategy(self) -> str:
        """The strategy that ``auto`` stands for on the device of the weights, or the one given."""
        if self.strategy != "auto":
            return self.strategy
        device = self.weight_x.device.type
        if device == "cuda" and has_triton():
            return GRAPHED
        return "dense" if device == "cpu" else "grouped"

    def reset_parameters(self, bound: float = 0.1) -> None:
        """Weights from U(-bound, bound), biases 0."""
        for weight in (self.weight_x, self.weight_h):
            nn.init.uniform_(weight, -bound, bound)
        for bias in (self.bias_x, self.bias_h):
            nn.init.zeros_(bias)

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.hidden}, kernel_size={self.kernel_size}, "
            f"spatial_dims={self.spatial_dims}, strategy={self.strategy}"
        )
