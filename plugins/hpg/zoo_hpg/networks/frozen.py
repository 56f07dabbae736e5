"""A net as it is now, without gradient: for playing and for importance weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo_hpg.networks.goal_net import GoalNet

CHUNK_ROWS = 512
"""Rows at once on a CPU, whose caches hold their activations."""
MIN_ONEDNN_ROWS = 64
"""Rows below which it does not pay to convert tensors for oneDNN."""


class FrozenGoalNet:
    """The function of a net, fixed at this moment, and faster on a CPU.

    ``tanh(x) = 2 * sigmoid(2 * x) - 1``, and torch's sigmoid takes a tenth of the time of its
    tanh there. The constants are folded into the weights of the layers around: with
    ``s = sigmoid(2 * x)``, ``W tanh(x) + b = 2 W s + (b - W 1)``. Equal up to rounding, which is
    why nothing of it should be computed in less than the net's own precision. Matrices are
    multiplied by oneDNN where it is available, which beats the library that torch takes otherwise
    on some CPUs. To be called under ``torch.no_grad``.

    Args:
        net: The net; later changes of it are not seen.
    """

    @torch.no_grad()
    def __init__(self, net: GoalNet) -> None:
        self._trunk = net.trunk
        self._state = 2 * net.from_state.weight, 2 * net.from_state.bias
        self._goal = 2 * net.from_goal.weight
        self._layers = []
        for layer in [*(each for each in net.layers if isinstance(each, nn.Linear)), net.head]:
            doubled = 1 if layer is net.head else 2  # of the sum that goes into a sigmoid
            folded = (2 * doubled * layer.weight, doubled * (layer.bias - layer.weight.sum(1)))
            self._layers.append(folded)
        weight = net.head.weight
        plain = weight.device.type == "cpu" and weight.dtype == torch.float32
        mkldnn: Any = torch.backends.mkldnn  # untyped
        self._onednn = plain and mkldnn.is_available()
        self._converted: list[tuple[Tensor, Tensor]] = []

    def state_part(self, observations: Tensor) -> Tensor:
        """What states (N, ...) add to the first layer (N, units), for ``outputs``."""
        return F.linear(self._trunk(observations.to(self._goal.dtype)), *self._state)

    def goal_part(self, goals: Tensor) -> Tensor:
        """What goals (N, D) add to the first layer (N, units), for ``outputs``."""
        return F.linear(goals.to(self._goal.dtype), self._goal)

    def outputs(self, sums: Tensor) -> Tensor:
        """The net's outputs (N, outputs) for sums of the two parts (N, units)."""
        if not self._onednn or len(sums) < MIN_ONEDNN_ROWS:
            return _through(self._layers, sums)
        self._converted = self._converted or [
            (weight.to_mkldnn(), bias.to_mkldnn()) for weight, bias in self._layers
        ]
        chunks = torch.split(sums, CHUNK_ROWS)
        return torch.cat([_through(self._converted, chunk) for chunk in chunks])


def _through(layers: list[tuple[Tensor, Tensor]], sums: Tensor) -> Tensor:
    values = sums.sigmoid()
    if layers[0][0].is_mkldnn:
        values = values.to_mkldnn()
    for index, (weight, bias) in enumerate(layers):
        values = F.linear(values.sigmoid() if index else values, weight, bias)
    return values.to_dense() if values.is_mkldnn else values


def full_precision(device: torch.device) -> torch.autocast:
    """A context in which nothing is computed in half precision."""
    return torch.autocast(device.type, enabled=False)
