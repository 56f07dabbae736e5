"""Recurrent nets: fully recurrent, Elman, LSTM."""

from __future__ import annotations

from collections.abc import Callable
from math import tanh
from operator import mul

import torch
from torch import Tensor

from zoo.plugin import require
from zoo_evolution.policies.base import Policy, State, apply


class FullyRecurrent(Policy):
    """n units that all see the input and each other: y = tanh(W x + R y_before + b).

    The first units' activations are the action. Without a bias and with three inputs it has
    n (n + 3) weights: the nets of the double pole in Wierstra et al., JMLR 15 (2014), section 5.5.

    Args:
        inputs: Numbers in an observation.
        outputs: Numbers in an action; at most ``hidden``.
        hidden: n.
        bias: Whether units have one.

    Raises:
        UsageError: there are fewer units than outputs.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int = 1, bias: bool = False) -> None:
        super().__init__(inputs, outputs, hidden, bias)
        require(
            hidden >= outputs,
            f"a fully recurrent net of {hidden} units cannot give {outputs} outputs, which are its "
            f"first units: set hidden to {outputs} or more",
        )

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Input, recurrent and bias weights."""
        n = self.hidden
        return ((n, self.inputs), (n, n), *(((n,),) if self.bias else ()))

    @property
    def remembered(self) -> tuple[tuple[int, ...], ...]:
        return ((self.hidden,),)

    @property
    def neurons(self) -> Tensor:
        """A unit's neuron: its input weights, its recurrent weights and its bias."""
        n, k = self.hidden, self.inputs
        rows = [torch.arange(n * k).view(n, k), n * k + torch.arange(n * n).view(n, n)]
        if self.bias:
            rows.append(n * k + n * n + torch.arange(n).view(n, 1))
        return torch.cat(rows, 1)

    def step(self, weights: list[Tensor], state: State, observed: Tensor) -> tuple[Tensor, State]:
        total = apply(weights[0], observed) + apply(weights[1], state[0])
        if self.bias:
            total = total + weights[2]
        units = total.tanh()
        return units[:, : self.outputs], (units,)

    @property
    def plain(self) -> bool:
        return self.hidden <= 4

    def single(self, vector: Tensor) -> Callable[[list[float]], list[float]]:
        """In plain numbers throughout: a few units take less time than a call of torch."""
        if not self.plain:
            return super().single(vector)
        matrices = [each[0].tolist() for each in self.split(vector[None])]
        rows = [into + back for into, back in zip(matrices[0], matrices[1], strict=True)]
        biases = matrices[2] if self.bias else [0.0] * self.hidden
        units = [0.0] * self.hidden

        def act(observed: list[float]) -> list[float]:
            nonlocal units
            seen = observed + units
            units = [
                tanh(sum(map(mul, row, seen)) + bias)
                for row, bias in zip(rows, biases, strict=True)
            ]
            return units[: self.outputs]

        return act


class Elman(Policy):
    """A recurrent hidden layer, h = tanh(W x + R h_before + b), and the outputs tanh(V h + c).

    Elman: Finding structure in time, Cognitive Science 14 (1990).

    Args:
        inputs: Numbers in an observation.
        outputs: Numbers in an action.
        hidden: Units of the hidden layer.
        bias: Whether units have one.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int = 3, bias: bool = True) -> None:
        super().__init__(inputs, outputs, hidden, bias)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Input, recurrent and output weights, then biases of the hidden layer and outputs."""
        n = self.hidden
        matrices = ((n, self.inputs), (n, n), (self.outputs, n))
        return matrices + (((n,), (self.outputs,)) if self.bias else ())

    @property
    def remembered(self) -> tuple[tuple[int, ...], ...]:
        return ((self.hidden,),)

    @property
    def neurons(self) -> Tensor | None:
        """A hidden unit's neuron: input weights, recurrent weights, those to the outputs, bias.
        None with a bias of the outputs, which belongs to no neuron."""
        if self.bias:
            return None
        n, k, m = self.hidden, self.inputs, self.outputs
        into = torch.arange(n * k).view(n, k)
        back = n * k + torch.arange(n * n).view(n, n)
        out = n * k + n * n + torch.arange(m * n).view(m, n).T
        return torch.cat([into, back, out], 1)

    def step(self, weights: list[Tensor], state: State, observed: Tensor) -> tuple[Tensor, State]:
        total = apply(weights[0], observed) + apply(weights[1], state[0])
        units = (total + weights[3] if self.bias else total).tanh()
        out = apply(weights[2], units)
        return (out + weights[4] if self.bias else out).tanh(), (units,)


class Lstm(Policy):
    """A layer of LSTM cells with forget gates, and the outputs tanh(V h + c).

    Gers, Schmidhuber, Cummins: Learning to forget, Neural Computation 12 (2000). The gates lie in
    the order input, forget, cell, output, as in ``torch.nn.LSTM``.

    Args:
        inputs: Numbers in an observation.
        outputs: Numbers in an action.
        hidden: Cells.
        bias: Whether gates and outputs have one.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int = 3, bias: bool = True) -> None:
        super().__init__(inputs, outputs, hidden, bias)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Input and recurrent weights of all gates, output weights, then biases."""
        n = self.hidden
        matrices = ((4 * n, self.inputs), (4 * n, n), (self.outputs, n))
        return matrices + (((4 * n,), (self.outputs,)) if self.bias else ())

    @property
    def remembered(self) -> tuple[tuple[int, ...], ...]:
        return ((self.hidden,), (self.hidden,))

    def step(self, weights: list[Tensor], state: State, observed: Tensor) -> tuple[Tensor, State]:
        total = apply(weights[0], observed) + apply(weights[1], state[0])
        gates = (total + weights[3] if self.bias else total).chunk(4, 1)
        cells = gates[1].sigmoid() * state[1] + gates[0].sigmoid() * gates[2].tanh()
        units = gates[3].sigmoid() * cells.tanh()
        out = apply(weights[2], units)
        return (out + weights[4] if self.bias else out).tanh(), (units, cells)
