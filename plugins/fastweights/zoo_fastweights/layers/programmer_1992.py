"""The fast weight programmer of 1991: a slow net that writes the weights of a fast one.

At every step the fast net F answers the input x (d) by its present weights W (e, d), and the slow
net S then changes them, by one of two interfaces:

    y = W x
    direct    D = S(x), one output for each fast weight
    from-to   D_ij = TO_i(x) FROM_j(x), an outer product of the e + d outputs of S
    W <- sigmoid(slope (W + D - 1/2)), which keeps weights within (0, 1)

S and F are linear and have no hidden units. FROM is today's key and TO the value: without the
sigmoid the second interface is linear attention.

Learning is on-line, by the exact gradient of the present error through the whole history of
writings: the sensitivities P = dW / d theta follow ``P <- dW'/dW P + dW'/d theta`` with every
writing, so that nothing of the past is stored and the stream is never cut.

Source: Schmidhuber: Learning to Control Fast-Weight Memories: An Alternative to Dynamic Recurrent
Networks, Neural Computation 4(1), 1992, equations 1 to 7. What is read are the weights before the
present writing: with those after it, an output that depends on the event itself could not be reset.
The slope 10 is remembered (unverified).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Interface = Literal["direct", "from-to"]


class FastProgrammer(nn.Module):
    """S and F, for one stream.

    Args:
        inputs: Numbers d of an input.
        outputs: Numbers e of an answer.
        interface: ``direct`` or ``from-to``.
        slope: Of the sigmoid that bounds the fast weights.
        init: Slow weights begin uniform within plus and minus this.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        interface: Interface = "direct",
        slope: float = 10.0,
        init: float = 0.1,
    ) -> None:
        super().__init__()
        self.shape, self.interface, self.slope = (outputs, inputs), interface, slope
        made = inputs * outputs if interface == "direct" else inputs + outputs
        self.slow = nn.Linear(inputs, made, bias=False)
        nn.init.uniform_(self.slow.weight, -init, init)

    def start(self) -> Tensor:
        """Fast weights (e, d) at the beginning of a stream: 1/2, the middle of their range."""
        return torch.full(self.shape, 0.5, device=self.slow.weight.device)

    def read(self, x: Tensor, fast: Tensor) -> Tensor:
        """The answer (e,) to an input (d,)."""
        return fast @ x

    def forward(self, x: Tensor, fast: Tensor) -> Tensor:
        """The fast weights (e, d) after the writing at an input (d,)."""
        made = self.slow(x)
        if self.interface == "direct":
            change = made.reshape(self.shape)
        else:
            to, origin = made.split(self.shape)
            change = torch.outer(to, origin)
        after: Tensor = (self.slope * (fast + change - 0.5)).sigmoid()
        return after

    def start_sensitivity(self) -> Tensor:
        """Sensitivities (e * d, slow weights) of fast weights that nothing has written."""
        weight = self.slow.weight
        return weight.new_zeros(self.shape[0] * self.shape[1], weight.numel())

    def error_gradient(self, error: Tensor, x: Tensor, sensitivity: Tensor) -> Tensor:
        """Gradient of half the squared error of the present answer, shaped as the slow weights.

        Args:
            error: Answer minus target (e,).
            x: The input (d,).
            sensitivity: Of the fast weights that answered.
        """
        return (torch.outer(error, x).flatten() @ sensitivity).view_as(self.slow.weight)

    @torch.no_grad()
    def write(self, x: Tensor, fast: Tensor, sensitivity: Tensor) -> tuple[Tensor, Tensor]:
        """The fast weights after the writing, and their sensitivities.

        Args:
            x: The input (d,).
            fast: Fast weights (e, d).
            sensitivity: Theirs.
        """
        made = self.slow(x)
        after = self(x, fast)
        slopes = (self.slope * after * (1 - after)).flatten()
        return after, slopes[:, None] * (sensitivity + self._of_slow(made) @ _of_inputs(made, x))

    def _of_slow(self, made: Tensor) -> Tensor:
        """Derivative of the changes (e * d) by the outputs of S."""
        if self.interface == "direct":
            return torch.eye(len(made), dtype=made.dtype, device=made.device)
        to, origin = made.split(self.shape)
        outputs, inputs = (torch.eye(n, dtype=made.dtype, device=made.device) for n in self.shape)
        by_to = torch.kron(outputs, origin[:, None])
        by_origin = torch.kron(to[:, None], inputs)
        return torch.cat([by_to, by_origin], dim=1)


def _of_inputs(made: Tensor, x: Tensor) -> Tensor:
    """Derivative of the outputs of S by its weights (outputs, outputs * d)."""
    return torch.kron(torch.eye(len(made), dtype=x.dtype, device=x.device), x[None])
