"""What all policies share: weights as one vector, and a population that acts as one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from math import prod

import torch
from torch import Tensor

from zoo.plugin import at_least

State = tuple[Tensor, ...]
"""What a policy remembers from step to step, each (L, ...)."""


class Policy(ABC):
    """A net from observations to actions between -1 and 1.

    It has no weights of its own: they are given as a vector for each individual (L, ``size``),
    which is cut into matrices in the order of ``shapes``. That order is part of every bundle.

    Args:
        inputs: Numbers in an observation.
        outputs: Numbers in an action.
        hidden: Units of the hidden layer.
        bias: Whether units have a bias.

    Raises:
        UsageError: one of the sizes is below 1.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int, bias: bool) -> None:
        at_least("the number of a policy's inputs", inputs, 1)
        at_least("the number of a policy's outputs", outputs, 1)
        at_least("hidden", hidden, 1)
        self.inputs, self.outputs, self.hidden, self.bias = inputs, outputs, hidden, bias

    @property
    @abstractmethod
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of the weight matrices, in the order in which they lie in the vector."""

    @abstractmethod
    def step(self, weights: list[Tensor], state: State, observed: Tensor) -> tuple[Tensor, State]:
        """One step of L individuals.

        Args:
            weights: One of each of ``shapes``, with L in front.
            state: What ``remembered`` or the step before returned.
            observed: (L, inputs).

        Returns:
            Actions (L, outputs) and the new state.
        """

    @property
    def remembered(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of what is remembered, of one individual; nothing, unless written."""
        return ()

    @property
    def plain(self) -> bool:
        """Whether ``single`` needs no call of torch for a step."""
        return False

    @property
    def neurons(self) -> Tensor | None:
        """For methods that evolve neurons: for each hidden neuron, where its weights lie in the
        vector, int64 (hidden, weights of a neuron). None where they are not cut that way."""
        return None

    @property
    def size(self) -> int:
        """Weights in all."""
        return sum(prod(shape) for shape in self.shapes)

    def split(self, vectors: Tensor) -> list[Tensor]:
        """The matrices (L, *shape) of weight vectors (L, size)."""
        pieces = vectors.split([prod(shape) for shape in self.shapes], dim=1)
        return [p.reshape(-1, *shape) for p, shape in zip(pieces, self.shapes, strict=True)]

    def single(self, vector: Tensor) -> Callable[[list[float]], list[float]]:
        """One individual (size,) on the CPU that is played alone, in plain numbers: from an
        observation to an action, and it remembers."""
        controller = Controllers(self, vector[None])

        def act(observed: list[float]) -> list[float]:
            action: list[float] = controller.act(vector.new_tensor([observed]))[0].tolist()
            return action

        return act


class Controllers:
    """Individuals that act at once, each with its weights and memory.

    Args:
        policy: The net.
        vectors: Weights of each individual (L, size).
    """

    def __init__(self, policy: Policy, vectors: Tensor) -> None:
        self._policy = policy
        self._weights = policy.split(vectors)
        self._state: State = tuple(
            vectors.new_zeros(len(vectors), *shape) for shape in policy.remembered
        )

    def act(self, observed: Tensor) -> Tensor:
        """Actions (L, outputs) for observations (L, inputs)."""
        actions, self._state = self._policy.step(self._weights, self._state, observed)
        return actions

    def keep(self, index: Tensor) -> None:
        """Go on with some of them alone, int64 (K,)."""
        self._weights = [each[index] for each in self._weights]
        self._state = tuple(each[index] for each in self._state)


def apply(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Each matrix (L, n, k) times its vector (L, k): (L, n)."""
    return torch.bmm(matrices, vectors[:, :, None])[:, :, 0]
