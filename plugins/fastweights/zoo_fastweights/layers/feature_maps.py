"""Feature maps and normalizations of keys and queries.

A key is stored by its features ``phi(k)``; as many keys fit without interference as there are
orthogonal vectors of non-negative features, which is the dimension of ``phi``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.plugin import within

EPSILON = 1e-6


def elu1(x: Tensor) -> Tensor:
    """``elu(x) + 1``, above 0, (..., d) to (..., d).

    Source: Katharopoulos, Vyas, Pappas, Fleuret: Transformers are RNNs, ICML 2020, equation 7.
    """
    return F.elu(x) + 1


def dpfp(x: Tensor, nu: int = 1) -> Tensor:
    """Deterministic parameter-free projection, (..., d) to (..., 2 * d * nu), not below 0.

    With ``r = relu([x, -x])``: the products of ``r`` with itself, rolled by 1 to ``nu`` places; the
    last entry meets the first.

    Source: Schlag, Irie, Schmidhuber: Linear Transformers Are Secretly Fast Weight Programmers,
    ICML 2021, section 5.3.

    Args:
        x: Keys or queries.
        nu: How many rolled products; from 1 to 2 * d - 1.

    Raises:
        UsageError: ``nu`` is out of this range.
    """
    within("nu", nu, 1, 2 * x.shape[-1] - 1)
    r = torch.cat([x, -x], dim=-1).relu()
    return torch.cat([r * r.roll(shift, dims=-1) for shift in range(1, nu + 1)], dim=-1)


class RandomFeatures(nn.Module):
    """Positive random features that approximate softmax attention, (..., d) to (..., 2 * m).

    ``exp(+-w x - |x|^2 / 2) / sqrt(2 m)`` for ``m`` random directions ``w``, orthogonal in groups
    of ``d``, with lengths of Gaussian vectors.

    Source: Choromanski and others: Rethinking Attention with Performers (FAVOR+), ICLR 2021,
    lemma 1 and section 2.4.

    Args:
        dim: Dimension d of keys and queries.
        features: Number m of directions.
        redraw: Draw new directions in every call, as in the experiments of 2021, whose memory is
            then written and read by the same, but never by learned, features. Otherwise they are
            drawn once and are a buffer.
    """

    projection: Tensor

    def __init__(self, dim: int, features: int, redraw: bool = False) -> None:
        super().__init__()
        self.dim, self.features, self.redraw = dim, features, redraw
        self.register_buffer("projection", self._draw())

    def _draw(self) -> Tensor:
        blocks = []
        for _ in range(math.ceil(self.features / self.dim)):
            block = torch.randn(self.dim, self.dim)
            directions, _ = torch.linalg.qr(block)
            blocks.append(directions * block.norm(dim=1))
        return torch.cat(blocks, dim=1)[:, : self.features]

    def new_directions(self) -> None:
        """Draw other directions; the caller applies them to keys and queries alike."""
        self.projection.copy_(self._draw())

    def forward(self, x: Tensor) -> Tensor:
        offset = x.square().sum(-1, keepdim=True) / 2 + 0.5 * math.log(2 * self.features)
        along = x @ self.projection
        return torch.cat([(along - offset).exp(), (-along - offset).exp()], dim=-1)


def sum_normalize(features: Tensor, epsilon: float = EPSILON) -> Tensor:
    """Features divided by their sum, as the delta rule of 2021 has its keys and queries.

    Source: Schlag, Irie, Schmidhuber 2021, section 4.2 (attention normalization is then dropped).
    """
    return features / (features.sum(-1, keepdim=True) + epsilon)


def l2_normalize(x: Tensor, epsilon: float = EPSILON) -> Tensor:
    """Vectors of length 1, as DeltaNet has its keys and queries.

    Source: Yang, Wang, Zhang, Shen, Kim: Parallelizing Linear Transformers with the Delta Rule over
    Sequence Length, NeurIPS 2024, section 3.3.
    """
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + epsilon)


NORMALIZATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sum": sum_normalize,
    "l2": l2_normalize,
    "none": lambda x: x,
}
