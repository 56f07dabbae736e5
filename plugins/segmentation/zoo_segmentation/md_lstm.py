"""A net of MD-LSTM layers, slice by slice.

From an image x (N, in_channels, H, W) to logits (N, num_classes, H, W); a volume is taken slice
by slice. Layer l = 1 ... L is four LSTMs, one from each corner of the image, whose hidden states
lie side by side in the channels, followed by a fully connected layer that sees each pixel alone::

    y_l    = [LSTM_{l,k}(x_l) for the corners k]        x_1 = x
    x_l+1  = tanh(V_l y_l + v_l)
    logits = V_L y_L + v_L

Coming from the top left, of the pixel x at row r and column c::

    i, f1, f2, o = sigmoid(W x + U1 h[r-1, c] + U2 h[r, c-1] + b)
    c~           = tanh   (likewise)
    c[r, c]      = i c~ + f1 c[r-1, c] + f2 c[r, c-1]
    h[r, c]      = o tanh(c[r, c])

``MDLSTMNet.forward`` is the first three lines, ``zoo_segmentation.layers.md_lstm`` the other four.
The image is first rearranged so that a block of pixels is one position
(``zoo_segmentation.layers.blocks``).

Source: Graves, Schmidhuber: Offline Handwriting Recognition with Multidimensional Recurrent
Neural Networks, NIPS 2008.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from zoo.plugin import UsageError, at_least
from zoo_segmentation.input_channels import adapt_axis, named
from zoo_segmentation.layers.blocks import from_blocks, pointwise, to_blocks
from zoo_segmentation.layers.md_lstm import MDLSTM
from zoo_segmentation.segmenter import Segmenter


class MDLSTMNet(nn.Module):
    """MD-LSTM layers, each followed by a fully connected layer for every position.

    As in Graves and Schmidhuber 2008, the image is read in blocks of pixels; the last layer
    gives back logits for each pixel of a block.

    Args:
        in_channels: Channels of the images.
        num_classes: Channels of the logits.
        hidden: Channels of each LSTM layer, in each of its four directions.
        fully_connected: Units (tanh) of the layers between them, one fewer.
        block: Side of the blocks of pixels read as one position.
        spatial_dims: 2, or 3 for volumes taken slice by slice (first axis).
        checkpoint: Recompute scans in the backward pass, for memory.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        hidden: list[int],
        fully_connected: list[int],
        block: int = 2,
        spatial_dims: int = 2,
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        self.block = block
        self.spatial_dims = spatial_dims
        width = in_channels * block**2
        self.lstms = nn.ModuleList()
        self.between = nn.ModuleList()
        for index, units in enumerate(hidden):
            self.lstms.append(MDLSTM(width, units, checkpoint=checkpoint))
            if index < len(hidden) - 1:
                width = fully_connected[index]
                self.between.append(pointwise(4 * units, width, 2))
        self.head = pointwise(4 * hidden[-1], num_classes * block**2, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Segment.

        Args:
            x: (N, in_channels, H, W), or (N, in_channels, D, H, W).

        Returns:
            Logits (N, num_classes, ...) of the same size.
        """
        if x.ndim == 5:
            result = self(x.transpose(1, 2).flatten(0, 1))
            volume: Tensor = result.unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)
            return volume
        size = x.shape[2:]
        x = to_blocks(x, [self.block] * 2)
        for index, lstm in enumerate(self.lstms):
            x = lstm(x)
            if index < len(self.between):
                x = self.between[index](x).tanh()
        return from_blocks(self.head(x), [self.block] * 2, size)


class MDLSTMSegmenter(Segmenter):
    """MD-LSTM layers (Graves and Schmidhuber 2008) in four directions, slice by slice.

    Args:
        hidden: Channels of each LSTM layer in each direction; [16, 32] without.
        fully_connected: Units of the layers between them, one fewer; as many as channels of the
            LSTM layer before each without.
        block: Side of the blocks of pixels that are read as one position.
        checkpoint: Recompute scans in the backward pass, for memory.
        training: The arguments of ``Segmenter``.

    Raises:
        UsageError: an argument is out of its range.
    """

    not_exportable = "its scan is a loop over the diagonals, as long as the slice is"
    conformance_arguments: ClassVar[dict[str, Any]] = {"hidden": [6]}

    @classmethod
    def adapt_input_channels(
        cls, weights: dict[str, Tensor], before: int, now: int
    ) -> dict[str, Tensor]:
        """The weights for images of another number of channels: the first layer is adapted, in
        which each channel is as many inputs as a block has pixels.

        Args:
            weights: The saved tensors.
            before: Channels of the saved model.
            now: Channels of the new one.
        """
        adapted = dict(weights)
        if first := named(weights, "lstms.0.weight_x"):
            positions = weights[first].shape[1] // before
            adapted[first] = adapt_axis(weights[first], 1, before, now, positions)
        return adapted

    def __init__(
        self,
        hidden: list[int] | None = None,
        fully_connected: list[int] | None = None,
        block: int = 2,
        checkpoint: bool = False,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        hidden = [16, 32] if hidden is None else list(hidden)
        fully_connected = hidden[:-1] if fully_connected is None else list(fully_connected)
        self.hparams.update(hidden=hidden, fully_connected=fully_connected)
        if not hidden or min(hidden) < 1:
            raise UsageError(f"hidden is {hidden}; it takes the channels of each LSTM layer")
        if len(fully_connected) != len(hidden) - 1 or min(fully_connected, default=1) < 1:
            raise UsageError(
                f"fully_connected is {fully_connected}; between {len(hidden)} LSTM layers there "
                f"are {len(hidden) - 1}"
            )
        at_least("block", block, 1)
        self.network = MDLSTMNet(
            self.in_channels,
            self.num_classes,
            hidden,
            fully_connected,
            block,
            self.spatial_dims,
            checkpoint,
        )
