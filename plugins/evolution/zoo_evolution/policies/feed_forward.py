"""A net without memory."""

from __future__ import annotations

from torch import Tensor

from zoo_evolution.policies.base import Policy, State, apply


class FeedForward(Policy):
    """One hidden layer: tanh(V tanh(W x + b) + c).

    Args:
        inputs: Numbers in an observation.
        outputs: Numbers in an action.
        hidden: Units of the hidden layer.
        bias: Whether units have one.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int = 8, bias: bool = True) -> None:
        super().__init__(inputs, outputs, hidden, bias)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Input and output weights, then biases of the hidden layer and the outputs."""
        matrices = ((self.hidden, self.inputs), (self.outputs, self.hidden))
        return matrices + (((self.hidden,), (self.outputs,)) if self.bias else ())

    def step(self, weights: list[Tensor], state: State, observed: Tensor) -> tuple[Tensor, State]:
        total = apply(weights[0], observed)
        units = (total + weights[2] if self.bias else total).tanh()
        out = apply(weights[1], units)
        return (out + weights[3] if self.bias else out).tanh(), state
