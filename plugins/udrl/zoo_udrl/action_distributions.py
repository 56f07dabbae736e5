"""Distributions of actions: what a head's outputs mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class ActionDistribution(Protocol):
    """A family of distributions of one action.

    Attributes:
        outputs: Numbers that describe one of them: outputs of the behavior function's head.
    """

    outputs: int

    def cross_entropy(self, parameters: Tensor, actions: Tensor) -> Tensor:
        """Minus the log-probability of actions (N, ...) under (N, outputs): float32 (N,)."""
        ...

    def sample(self, parameters: Tensor, random: torch.Generator) -> Tensor:
        """An action drawn from each of the distributions (N, outputs)."""
        ...

    def mode(self, parameters: Tensor) -> Tensor:
        """The likeliest action of each."""
        ...

    def uniform(self, count: int, random: torch.Generator) -> Tensor:
        """Actions drawn evenly from all there are, for episodes without a policy."""
        ...


class CategoricalActions:
    """One of several actions, int64; described by logits.

    Args:
        count: How many there are.
    """

    def __init__(self, count: int) -> None:
        self.outputs = count

    def cross_entropy(self, parameters: Tensor, actions: Tensor) -> Tensor:
        """Minus the log-probability of the actions (N,)."""
        return torch.nn.functional.cross_entropy(parameters, actions, reduction="none")

    def sample(self, parameters: Tensor, random: torch.Generator) -> Tensor:
        """int64 (N,). Adding Gumbel noise and taking the maximum draws from the softmax."""
        uniform = torch.rand(parameters.shape, generator=random, device=parameters.device)
        noise = -torch.log(-torch.log(uniform.clamp(1e-20, 1 - 1e-7)))
        return (parameters + noise).argmax(1)

    def mode(self, parameters: Tensor) -> Tensor:
        """int64 (N,)."""
        return parameters.argmax(1)

    def uniform(self, count: int, random: torch.Generator) -> Tensor:
        """int64 (count,)."""
        return torch.randint(self.outputs, (count,), generator=random)


class GaussianActions:
    """Vectors within bounds, float32; described by means and logarithms of standard deviations.

    Both are of actions mapped to the range from -1 to 1; what is drawn beyond is cut to it.

    Args:
        low: Lower bounds.
        high: Upper bounds.
    """

    _LOG_STD = (-4.0, 1.0)

    def __init__(self, low: Sequence[float], high: Sequence[float]) -> None:
        self.outputs = 2 * len(low)
        self._middle = (torch.tensor(high) + torch.tensor(low)) / 2
        self._half = (torch.tensor(high) - torch.tensor(low)) / 2

    def cross_entropy(self, parameters: Tensor, actions: Tensor) -> Tensor:
        """Minus the log-density, in nats, of actions (N, A) mapped to -1 to 1."""
        mean, log_std = self._split(parameters)
        distance = (self._to_unit(actions) - mean) / log_std.exp()
        return (distance.square() / 2 + log_std + math.log(2 * math.pi) / 2).sum(1)

    def sample(self, parameters: Tensor, random: torch.Generator) -> Tensor:
        """float32 (N, A)."""
        mean, log_std = self._split(parameters)
        noise = torch.randn(mean.shape, generator=random, device=mean.device)
        return self._from_unit(mean + log_std.exp() * noise)

    def mode(self, parameters: Tensor) -> Tensor:
        """float32 (N, A)."""
        return self._from_unit(self._split(parameters)[0])

    def uniform(self, count: int, random: torch.Generator) -> Tensor:
        """float32 (count, A)."""
        return self._from_unit(2 * torch.rand(count, len(self._half), generator=random) - 1)

    def _split(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = parameters.chunk(2, dim=1)
        return mean, log_std.clamp(*self._LOG_STD)

    def _to_unit(self, actions: Tensor) -> Tensor:
        return (actions - self._middle.to(actions)) / self._half.to(actions)

    def _from_unit(self, actions: Tensor) -> Tensor:
        return actions.clamp(-1, 1) * self._half.to(actions) + self._middle.to(actions)
