"""Linear controllers, many at once: all that a world model leaves to be learnt.

Ha, Schmidhuber: World Models, arXiv:1803.10122, section 2.3: in CarRacing from 32 latents and 256
hidden units to 3 outputs with biases, 867 weights; in Doom from 64 latents, 512 cells and 512
hidden units to one output without, 1,088.
"""

from __future__ import annotations

import torch
from torch import Tensor


class LinearControllers:
    """From what is known to outputs, by weights in a row.

    Args:
        inputs: Numbers that are read.
        outputs: Numbers that are given.
        bias: Whether each output has one.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        self.inputs, self.outputs, self.bias = inputs, outputs, bias
        self.size = (inputs + bias) * outputs
        """Weights of a controller."""

    def __call__(self, weights: Tensor, known: Tensor) -> Tensor:
        """Outputs (P, N, outputs).

        Args:
            weights: Of P controllers, (P, size).
            known: What each reads, N times: (P, N, inputs).
        """
        matrix = weights[:, : self.inputs * self.outputs].view(-1, self.outputs, self.inputs)
        outputs = torch.einsum("pni,poi->pno", known, matrix)
        if self.bias:
            outputs = outputs + weights[:, None, self.inputs * self.outputs :]
        return outputs
