"""Delta RNN: a recurrent net both of whose weight matrices are fast.

    h_t = W_t q_t + R_t softmax(h_{t-1})

``W`` and ``R`` are each changed by the delta rule, with keys, values and rates of their own. No
parallel form, as what is read depends on the step before. The fast weights of the recurrent
connections are those of the fast Hebb spotlight of 1993, with the delta rule in place of Hebb's.

Sources: Schmidhuber: Reducing the Ratio Between Learning Complexity and Number of Time Varying
Variables in Fully Recurrent Nets, ICANN 1993; Irie, Schlag, Csordas, Schmidhuber: Going Beyond
Linear Transformers with Recurrent Fast Weight Programmers, NeurIPS 2021, section 3.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo_fastweights.layers.delta_rule import delta_rule_step

State = tuple[Tensor, Tensor, Tensor]
"""W (N, H, d, d), R (N, H, d, d) and h (N, H, d); memories as in ``delta_rule``: keys by values."""


class DeltaRNN(nn.Module):
    """Heads of fast recurrent nets, (N, T, dim) to the same.

    Args:
        dim: Numbers of a token, a multiple of ``heads``.
        heads: Nets side by side.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads, self.size = heads, dim // heads
        self.slow = nn.Linear(dim, 5 * dim + 2 * heads, bias=False)
        self.output = nn.Linear(dim, dim, bias=False)

    def empty_state(self, x: Tensor) -> State:
        """Zeros, for sequences (N, T, dim)."""
        shape = (x.shape[0], self.heads, self.size)
        memory = x.new_zeros(*shape, self.size)
        return memory, memory, x.new_zeros(shape)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Outputs (N, T, dim) and what the next call continues with.

        Args:
            x: (N, T, dim).
            state: What earlier tokens left; zeros if None.
        """
        fast, recurrent, hidden = self.empty_state(x) if state is None else state
        dim = self.heads * self.size
        made = self.slow(x)
        vectors = made[..., : 5 * dim].unflatten(-1, (5, self.heads, self.size))
        rates = made[..., 5 * dim :].sigmoid().unflatten(-1, (2, self.heads))
        queries, keys, recurrent_keys = vectors[:, :, :3].softmax(-1).unbind(2)
        values, recurrent_values = vectors[:, :, 3:].unbind(2)
        outputs = []
        for t in range(x.shape[1]):
            read, fast = delta_rule_step(
                queries[:, t], keys[:, t], values[:, t], rates[:, t, 0], fast
            )
            again, recurrent = delta_rule_step(
                hidden.softmax(-1), recurrent_keys[:, t], recurrent_values[:, t], rates[:, t, 1],
                recurrent,
            )  # fmt: skip
            hidden = read + again
            outputs.append(hidden.flatten(1))
        return self.output(torch.stack(outputs, dim=1)), (fast, recurrent, hidden)
