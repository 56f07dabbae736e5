"""A slow net that writes the weights of a fast one."""

from __future__ import annotations

from collections.abc import Callable
from math import tanh
from operator import mul

import torch
from torch import Tensor

from zoo_evolution.policies.base import Policy, State, apply


class FastWeights(Policy):
    """A recurrent slow net whose outputs are the weights of the fast net that acts.

    At every step the slow net h = tanh(W x + R h_before + b) gives the fast one-layer net
    F = V h of (outputs, inputs + 1) weights, which acts by tanh(F (x, 1)). Only the slow net's
    weights are evolved. Gomez, Schmidhuber: Evolving modular fast-weight networks for control,
    ICANN 2005, where the fast weights are those of a feed-forward controller too; the sizes of its
    nets are not at hand. ``plain`` gives the action by F h alone, without the product with
    x: the same evolved parts and no fast weights, for comparison.

    Args:
        inputs: Numbers in an observation.
        outputs: Numbers in an action.
        hidden: Units of the slow net.
        bias: Whether the slow units have one.
        recurrent: Whether the slow net remembers.
        plain: Without fast weights: tanh of the sum of what they would be.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: int = 2,
        bias: bool = False,
        recurrent: bool = True,
        plain: bool = False,
    ) -> None:
        super().__init__(inputs, outputs, hidden, bias)
        self.recurrent, self._summed = recurrent, plain

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Input weights, those to the fast weights, recurrent weights, bias."""
        n = self.hidden
        into, out = (n, self.inputs), (self.outputs * (self.inputs + 1), n)
        back = ((n, n),) if self.recurrent else ()
        return (into, out, *back, *(((n,),) if self.bias else ()))

    @property
    def remembered(self) -> tuple[tuple[int, ...], ...]:
        return ((self.hidden,),) if self.recurrent else ()

    def step(self, weights: list[Tensor], state: State, observed: Tensor) -> tuple[Tensor, State]:
        total = apply(weights[0], observed)
        if self.recurrent:
            total = total + apply(weights[2], state[0])
        if self.bias:
            total = total + weights[-1]
        units = total.tanh()
        fast = apply(weights[1], units).unflatten(1, (self.outputs, self.inputs + 1))
        if self._summed:
            acted = fast.sum(2)
        else:
            seen = torch.cat([observed, torch.ones_like(observed[:, :1])], 1)
            acted = (fast * seen[:, None]).sum(2)
        return acted.tanh(), ((units,) if self.recurrent else ())

    @property
    def plain(self) -> bool:
        return self.hidden <= 4

    def single(self, vector: Tensor) -> Callable[[list[float]], list[float]]:
        """In plain numbers throughout, for a few units."""
        if not self.plain:
            return super().single(vector)
        matrices = [each[0].tolist() for each in self.split(vector[None])]
        back = matrices[2] if self.recurrent else [[]] * self.hidden
        rows = [into + again for into, again in zip(matrices[0], back, strict=True)]
        biases = matrices[-1] if self.bias else [0.0] * self.hidden
        written = matrices[1]  # a row for each fast weight
        width, units = self.inputs + 1, [0.0] * self.hidden

        def act(observed: list[float]) -> list[float]:
            nonlocal units
            seen = observed + units if self.recurrent else observed
            units = [
                tanh(sum(map(mul, row, seen)) + bias)
                for row, bias in zip(rows, biases, strict=True)
            ]
            fast = [sum(map(mul, row, units)) for row in written]
            by = [1.0] * width if self._summed else [*observed, 1.0]
            return [
                tanh(sum(map(mul, fast[first : first + width], by)))
                for first in range(0, len(fast), width)
            ]

        return act
