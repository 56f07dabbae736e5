"""The scans of a PyraMiD-LSTM layer, made fast. Nobody has to open this to understand the model.

Everything here computes what ``PyramidLSTM.sum_of_scans`` computes
(``zoo_segmentation.layers.pyramid_lstm``), up to rounding, and a test compares every output and
gradient with it. Three things make it faster:

- **A backward pass by hand** (``autograd.py``). autograd would keep every gate and add up the
  weights' gradients step by step; here a step keeps its gates and cell state, and the weights'
  gradients are one convolution after the scan. Sigmoid and tanh are fused and written in place
  (``cell.py``).
- **A strategy** (``strategy.py`` says what one has to do): which convolutions leave the loop over
  the slabs, and which directions run together.

  ======== ======================= ============================ ================================
  name     convolutions a step     directions in one scan       where
  ======== ======================= ============================ ================================
  dense    of x and h, as one      one                          ``dense.py``; ``auto`` on a CPU
  hoisted  of h; of x beforehand   one                          ``hoisted.py``
  paired   likewise, grouped       both senses of an axis       ``hoisted.py``
  grouped  likewise, grouped       all whose slabs are alike    ``hoisted.py``; ``auto`` elsewhere
  fused    likewise, grouped       likewise                     ``fused.py``, on NVIDIA GPUs
  graphed  likewise, grouped       likewise                     likewise; ``auto`` there
  ======== ======================= ============================ ================================

  On a CPU a convolution keeps the cores busy at any size, so that the fewest passes over memory
  win: ``dense``. Other devices want few, large launches: ``grouped``. Figures are in
  ``benchmarks/results/pyramid-cpu.md``. With ``fused`` the gates of a step are one kernel more
  (``fused_cell.py``, ``triton_cell.py``), and with ``graphed`` a layer of them is recorded as CUDA
  graphs (``zoo.plugin.CudaGraphs``), in which the groups run side by side.
- **Scans in parallel on a CPU** (``parallel_map.py``), a core each: a step is too small to be
  split over cores.

Volumes are handled as rows (N, D, H, W, C), channels last, of which ``geometry.py`` gives the
views along an axis. The files, from the bottom up: ``geometry``, ``cell``, ``convolution``,
``strategy``, ``dense`` and ``hoisted``, ``triton_cell``, ``fused_cell``, ``step_convolution`` and
``fused``, ``parallel_map``, ``autograd``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo_segmentation.layers.scan.autograd import SumOfScans
from zoo_segmentation.layers.scan.dense import Dense
from zoo_segmentation.layers.scan.fused import Fused
from zoo_segmentation.layers.scan.hoisted import Hoisted
from zoo_segmentation.layers.scan.strategy import Strategy

__all__ = ["GRAPHED", "STRATEGIES", "fast_sum_of_scans"]

GRAPHED = "graphed"
"""``fused``, recorded; where there is nothing to record by, the same."""

STRATEGIES: dict[str, Strategy] = {
    "dense": Dense(),
    "hoisted": Hoisted("direction"),
    "paired": Hoisted("axis"),
    "grouped": Hoisted("shape"),
    "fused": Fused(),
    GRAPHED: Fused(),
}


# torch.compile would unroll hundreds of steps, for minutes.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def fast_sum_of_scans(
    volume: Tensor,
    weight_x: Tensor,
    weight_h: Tensor,
    bias_x: Tensor,
    bias_h: Tensor,
    strategy: str,
    checkpoint: bool,
) -> Tensor:
    """``PyramidLSTM.sum_of_scans`` by one of ``STRATEGIES``.

    Args:
        volume: (N, C, D, H, W) in the dtype of the convolutions; D is 1 for images.
        weight_x: (directions, 4 H, C, kP, kQ); this and the following as in ``PyramidLSTM``.
        weight_h: (directions, 4 H, H, kP, kQ).
        bias_x: (directions, 4 H).
        bias_h: (directions, 4 H).
        strategy: Name of the strategy.
        checkpoint: Recompute the scans in the backward pass, a span at a time.

    Returns:
        (N, H, D, H, W), float32 or wider, in channels-last layout.
    """
    # tanh(z) = 2 sigmoid(2 z) - 1: with c~ doubled here, one sigmoid serves all gates.
    double = bias_x.new_ones(4, bias_x.shape[1] // 4)
    double[3].fill_(2)
    double = double.view(-1)
    total = SumOfScans.apply(
        volume.permute(0, 2, 3, 4, 1).contiguous(),
        weight_x * double.view(-1, 1, 1, 1),
        weight_h * double.view(-1, 1, 1, 1),
        bias_x * double,
        bias_h * double,
        STRATEGIES[strategy],
        checkpoint and torch.is_grad_enabled(),
    )
    result: Tensor = total.permute(0, 4, 1, 2, 3)
    return result
