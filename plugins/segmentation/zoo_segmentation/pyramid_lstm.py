"""The nets of PyraMiD-LSTM layers: the paper's, and a small one for CPUs."""

from __future__ import annotations

from typing import Any, ClassVar

from zoo.plugin import UsageError
from zoo_segmentation.layers.pyramid import StrategyName
from zoo_segmentation.networks import PyramidLSTMNet, sides
from zoo_segmentation.segmenter import Segmenter


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
        strategy: How scans are computed: ``auto``, ``measured``, ``loop``, ``dense``,
            ``hoisted``, ``paired`` or ``grouped``; results are equal up to rounding.
        training: The arguments of ``Segmenter``.

    Raises:
        UsageError: an argument is out of its range.
    """

    not_exportable = "its scan is a loop over the slices, with a backward pass of its own"
    conformance_arguments: ClassVar[dict[str, Any]] = {
        "hidden": [4, 4],
        "fully_connected": [4],
        "kernel_size": 3,
        "strategy": "dense",  # named, so that a run is the same to the last digit
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
        edges = sides(block, self.spatial_dims)
        if len(edges) != self.spatial_dims or min(edges) < 1:
            raise UsageError(
                f"block is {block}; it takes a side of 1 or more, or {self.spatial_dims} of them"
            )
        if not 0 <= dropout < 1:
            raise UsageError(f"dropout is {dropout}; it has to be 0 or more and below 1")
        if init not in ("paper", "scaled"):
            raise UsageError(f"unknown init {init!r}; there are paper, scaled")
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

    conformance_arguments: ClassVar[dict[str, Any]] = {"hidden": [6, 6], "strategy": "dense"}

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
