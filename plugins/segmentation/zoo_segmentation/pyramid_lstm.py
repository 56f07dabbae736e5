"""PyraMiD-LSTM nets: the paper's, and a small one for CPUs.

From a volume x (N, in_channels, D, H, W), or an image without D, to logits (N, num_classes, ...)
of the same size. Layer l = 1 ... L is a PyraMiD-LSTM followed, but for the last, by a fully
connected layer that sees each voxel alone::

    y_l    = sum of LSTM_{l,d}(x_l) over d in +D, -D, +H, -H, +W, -W        x_1 = x
    x_l+1  = tanh(V_l y_l + v_l)
    logits = V_L y_L + v_L,  or with ``skip``  V_L [x_1, y_1, ..., y_L] + v_L

LSTM_{l,d} is a convolutional LSTM that moves through the volume along d, slab by slab. With x_t
its t-th slab and ``*`` a convolution within the slab::

    i, f, o = sigmoid(Wx * x_t + bx + Wh * h_{t-1} + bh)
    c~      = tanh   (likewise)
    c_t     = i c~ + f c_{t-1}
    h_t     = o tanh(c_t)

and its output at slab t is h_t. ``PyramidLSTMNet.forward`` is the first three lines,
``PyramidLSTM.scan`` (``zoo_segmentation.layers.pyramid_lstm``) the other four, as plain PyTorch.
While training, ``dropout`` zeroes channels of y_l on the way to x_l+1, and of y_L. With ``block``,
x is first rearranged so that blocks of voxels are scanned as one position
(``zoo_segmentation.layers.blocks``).

``PyramidLSTMNet`` is a plain ``nn.Module``; the segmenters add the training (``segmenter``).

Source: Stollenga, Byeon, Liwicki, Schmidhuber: Parallel Multi-Dimensional LSTM, With Application
to Fast Biomedical Volumetric Image Segmentation, NIPS 2015 (arXiv:1506.07452), section 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from zoo.plugin import UsageError, one_of, within
from zoo_segmentation.input_channels import adapt_axis, named
from zoo_segmentation.layers.blocks import (
    block_sides,
    from_blocks,
    pointwise,
    shared_over_block,
    to_blocks,
)
from zoo_segmentation.layers.pyramid_lstm import PyramidLSTM, StrategyName
from zoo_segmentation.segmenter import Segmenter


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
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.spatial_dims = spatial_dims
        self.block = block_sides(block, spatial_dims)
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

    def start_head(self) -> None:
        """Let the logits of all voxels of a block begin alike."""
        assert self.head.bias is not None
        channels = self.in_channels if self.skip else 0
        shared_over_block(self.head.weight, self.head.bias, self.block, channels)

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


class PyramidLSTMSegmenter(Segmenter):
    """The network of Stollenga et al. 2015: LSTM layers of 16, 32 and 64, windows of 7.

    Between them lie fully connected layers of 25 and 45 tanh units for every voxel, after them
    one of the classes. With five channels and five classes it has 10,751,547 weights. The
    paper trains it by ``softmax-squared`` and ``normalized-momentum`` at 0.01, ``halving``, on
    one sub-volume a step.

    Args:
        hidden: Channels of each LSTM layer.
        fully_connected: Units of the layers between them, one fewer.
        kernel_size: Side of the LSTMs' windows, odd.
        block: Side of the blocks of voxels that are scanned as one position, or one side for
            each axis.
        skip: The last layer sees the input and all LSTM layers, and not only the last.
        dropout: Probability of zeroing a channel after an LSTM layer, while training.
        init: ``paper``: U(-0.1, 0.1), biases 0; ``scaled``: by the layers' sizes, with forget
            gates that begin open.
        checkpoint: Recompute scans in the backward pass: less than a third of the memory for a
            third more work.
        strategy: How scans are computed: ``auto`` (``dense`` on a CPU, ``graphed`` on a GPU of
            NVIDIA's, ``grouped`` on any other device), ``loop``, ``dense``, ``hoisted``,
            ``paired``, ``grouped``, ``fused`` or ``graphed``; results are equal up to rounding.
        training: The arguments of ``Segmenter``.

    Raises:
        UsageError: an argument is out of its range.
    """

    network: PyramidLSTMNet
    conformance_arguments: ClassVar[dict[str, Any]] = {
        "hidden": [4],
        "fully_connected": [],
        "kernel_size": 3,
    }

    def __init__(
        self,
        hidden: list[int] | None = None,
        fully_connected: list[int] | None = None,
        kernel_size: int = 7,
        block: int | list[int] = 1,
        skip: bool = False,
        dropout: float = 0.0,
        init: str = "paper",
        checkpoint: bool = False,
        strategy: StrategyName = "auto",
        **training: Any,
    ) -> None:
        super().__init__(**training)
        hidden = [16, 32, 64] if hidden is None else hidden
        fully_connected = [25, 45] if fully_connected is None else fully_connected
        self.hparams.update(hidden=list(hidden), fully_connected=list(fully_connected))
        if not hidden or min(hidden) < 1:
            raise UsageError(f"hidden is {hidden}; it takes the channels of each LSTM layer")
        if len(fully_connected) != len(hidden) - 1 or min(fully_connected, default=1) < 1:
            raise UsageError(
                f"fully_connected is {fully_connected}; between {len(hidden)} LSTM layers there "
                f"are {len(hidden) - 1}"
            )
        edges = block_sides(block, self.spatial_dims)
        if len(edges) != self.spatial_dims or min(edges) < 1:
            raise UsageError(
                f"block is {block}; it takes a side of 1 or more, or {self.spatial_dims} of them"
            )
        within("dropout", dropout, 0, 1, below=True)
        one_of("init", init, ("paper", "scaled"))
        try:
            self.network = PyramidLSTMNet(
                self.in_channels,
                self.num_classes,
                hidden,
                fully_connected,
                kernel_size,
                self.spatial_dims,
                block,
                skip,
                dropout,
                init,
                checkpoint,
                strategy,
            )
        except ValueError as error:
            raise UsageError(str(error)) from error

    def start_head(self) -> None:
        """Of a fine-tuning: a new head that gives all voxels of a block the same at first."""
        self.network.start_head()

    @classmethod
    def adapt_input_channels(
        cls, weights: dict[str, Tensor], before: int, now: int
    ) -> dict[str, Tensor]:
        """The weights for volumes of another number of channels.

        The first LSTM layer is adapted, and of ``skip`` the part of the last layer that sees the
        input; with ``block``, each channel is as many inputs as a block has voxels.

        Args:
            weights: The saved tensors.
            before: Channels of the saved model.
            now: Channels of the new one.
        """
        adapted = dict(weights)
        first, head = named(weights, "lstms.0.weight_x"), named(weights, "head.weight")
        if first is None:
            return adapted
        inputs = weights[first].shape[2]
        positions = inputs // before
        adapted[first] = adapt_axis(weights[first], 2, before, now, positions)
        hidden = [w.shape[2] for name, w in weights.items() if name.endswith(".weight_h")]
        if head and weights[head].shape[1] == inputs + sum(hidden):  # of ``skip``
            adapted[head] = adapt_axis(weights[head], 1, before, now, positions)
        return adapted


class SmallPyramidLSTMSegmenter(PyramidLSTMSegmenter):
    """A net of PyraMiD-LSTM layers that trains on a CPU.

    The same as ``pyramid-lstm`` with other defaults: two layers that scan blocks of 2x2x2 voxels
    by windows of 3, and a last layer that sees the voxels of the block too.

    Args:
        hidden: Channels of each LSTM layer; [24, 24] without.
        fully_connected: Units of the layers between them, one fewer; as many as the LSTM layer
            before each without.
        kernel_size: Side of the LSTMs' windows, odd.
        block: Side of the blocks of voxels that are scanned as one position, or one side for
            each axis.
        skip: The last layer sees the input and all LSTM layers, and not only the last.
        init: ``paper`` or ``scaled``.
        net: The other arguments of ``PyramidLSTMSegmenter``.
    """

    conformance_arguments: ClassVar[dict[str, Any]] = {"hidden": [6, 6]}
    conformance_exempt: ClassVar[dict[str, str]] = {
        "export-formats": "a graph of twelve scans takes long to make; pyramid-lstm is exported",
    }

    def __init__(
        self,
        hidden: list[int] | None = None,
        fully_connected: list[int] | None = None,
        kernel_size: int = 3,
        block: int | list[int] = 2,
        skip: bool = True,
        init: str = "scaled",
        **net: Any,
    ) -> None:
        hidden = [24, 24] if hidden is None else hidden
        super().__init__(
            hidden,
            list(hidden[:-1]) if fully_connected is None else fully_connected,
            kernel_size=kernel_size,
            block=block,
            skip=skip,
            init=init,
            **net,
        )
