"""The self-referential weight matrix: one matrix that computes outputs and its own changes.

Each head's matrix W has four blocks, of which the input x (d) makes at each step

    [y; q; k; b] = W_{t-1} x,  k <- softmax(k),  q <- softmax(q),  b <- sigmoid(b) (4 numbers)
    X <- X + b_X (X q - X k) k^T    for each block X of W_y, W_q, W_k, W_b

so that every block is changed by the delta rule towards what it itself answers to the query. The
output is read before the change. The initial W is trained; every sequence begins with it. There is
no parallel form, as keys depend on the matrix that they change: a loop over steps.

Sources: Schmidhuber: A Self-Referential Weight Matrix, ICANN 1993; in this form Irie, Schlag,
Csordas, Schmidhuber: A Modern Self-Referential Weight Matrix That Learns to Modify Itself, ICML
2022, equations 5 to 8.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

RATES = 4
"""Learning rates that a head makes: of the blocks of y, q, k and of the rates themselves."""


def self_referential_step(x: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor]:
    """One step of all heads.

    Args:
        x: Inputs (N, H, d).
        matrix: The present matrices (N, H, 3 * d + 4, d), rows in the order y, q, k, b.

    Returns:
        Outputs (N, H, d) and the changed matrices.
    """
    dim = x.shape[-1]
    made = (matrix @ x.unsqueeze(-1)).squeeze(-1)
    y, q, k, b = made.split([dim, dim, dim, RATES], dim=-1)
    k, rates = k.softmax(-1), b.sigmoid()
    difference = (matrix @ (q.softmax(-1) - k).unsqueeze(-1)).squeeze(-1)
    sizes = (dim, dim, dim, RATES)
    parts = zip(rates.split(1, dim=-1), sizes, strict=True)
    of_rows = torch.cat([rate.expand(*rate.shape[:-1], size) for rate, size in parts], dim=-1)
    return y, matrix + (of_rows * difference).unsqueeze(-1) * k.unsqueeze(-2)


class SelfReferentialMatrix(nn.Module):
    """Heads of self-referential matrices and a linear layer, (N, T, heads * d) to the same.

    Args:
        dim: Numbers of a token, a multiple of ``heads``.
        heads: Matrices side by side, each for its part of the numbers.
        rate_bias: Mean of the initial weights of the rates.
    """

    def __init__(self, dim: int, heads: int, rate_bias: float = 0.0) -> None:
        super().__init__()
        size = dim // heads
        self.heads, self.size = heads, size
        matrix = torch.randn(heads, 3 * size + RATES, size) / size**0.5
        matrix[:, 3 * size :] += rate_bias
        self.matrix = nn.Parameter(matrix)
        self.output = nn.Linear(dim, dim, bias=False)

    @torch.no_grad()
    def begin_alike(self, sharpness: float = 2.5) -> None:
        """Let keys begin as ``softmax(sharpness x)``: an input then reads from the changes that
        inputs like it have made. Queries become as much sharper, and so changes larger.

        Args:
            sharpness: The larger, the fewer of the inputs' largest numbers are in a key.
        """
        size = self.size
        self.matrix[:, size : 2 * size] *= sharpness
        self.matrix[:, 2 * size : 3 * size] = sharpness * torch.eye(size)

    def empty_state(self, x: Tensor) -> Tensor:
        """The trained matrix for every sequence of (N, T, dim): (N, H, 3 * d + 4, d)."""
        return self.matrix.expand(x.shape[0], -1, -1, -1)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs (N, T, dim) and the matrices after the last step.

        Args:
            x: (N, T, dim).
            state: Matrices that earlier tokens left; the trained one if None.
        """
        matrix = self.empty_state(x) if state is None else state
        heads = x.unflatten(-1, (self.heads, self.size))
        outputs = []
        for t in range(x.shape[1]):
            y, matrix = self_referential_step(heads[:, t], matrix)
            outputs.append(y.flatten(1))
        return self.output(torch.stack(outputs, dim=1)), matrix
