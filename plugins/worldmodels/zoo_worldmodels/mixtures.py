"""Mixtures of Gaussians over vectors: what a world model expects to see next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zoo.plugin import at_least

_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class Mixture:
    """For each of many vectors of F numbers, a mixture of M Gaussians of diagonal covariance.

    A number has a mixture of its own, independent of the others' (Ha, Schmidhuber: World Models,
    arXiv:1803.10122, section A.2), or all numbers of a vector share one choice of component.

    Attributes:
        log_weights: (..., F, M), or (..., 1, M) where the numbers of a vector share the choice;
            normalized over M.
        means: (..., F, M).
        log_scales: Logarithms of standard deviations, (..., F, M).
    """

    log_weights: Tensor
    means: Tensor
    log_scales: Tensor

    @property
    def is_joint(self) -> bool:
        """Whether the numbers of a vector share the choice of the component."""
        return self.log_weights.shape[-2] == 1

    def log_prob(self, values: Tensor) -> Tensor:
        """Logarithm of the density: (...,).

        Args:
            values: (..., F).
        """
        # In single precision at least: sums of exponentials are nothing for half of it.
        scaled = (values[..., None] - self.means).float() * (-self.log_scales.float()).exp()
        terms = -0.5 * scaled.square() - self.log_scales.float() - _LOG_ROOT_2PI
        if self.is_joint:
            return (self.log_weights.float()[..., 0, :] + terms.sum(-2)).logsumexp(-1)
        return (self.log_weights.float() + terms).logsumexp(-1).sum(-1)

    def cdf(self, values: Tensor) -> Tensor:
        """Probability that a number is below a value, for each number by itself: (..., F)."""
        scaled = (values[..., None] - self.means) * (-self.log_scales).exp()
        below = 0.5 * (1 + torch.erf(scaled / math.sqrt(2)))
        return (self.log_weights.exp() * below).sum(-1)

    @property
    def mean(self) -> Tensor:
        """(..., F)."""
        return (self.log_weights.exp() * self.means).sum(-1)

    def sample(
        self,
        random: torch.Generator | None = None,
        temperature: float | Tensor = 1.0,
        copies: int = 1,
    ) -> Tensor:
        """Draw a vector of each: (..., F).

        Weights become proportional to exp(log weight / temperature), and standard deviations are
        multiplied by the root of the temperature (arXiv:1803.10122, section A.2, as the authors'
        program has it). At 0 it is the mean of the likeliest component.

        Args:
            random: Where it is drawn from, on the CPU; the default generator without.
            temperature: From 0; of all, or of each of the N vectors, (N,).
            copies: The N vectors are so many times N / copies, and what is drawn is the same in
                each: candidates that are compared meet the same chances.

        Raises:
            UsageError: the temperature is below 0.
        """
        if not isinstance(temperature, Tensor):
            at_least("temperature", temperature, 0)
            if temperature == 0:
                chosen = self.log_weights.argmax(-1)
                return self._component(self.means, chosen)
        uniform = drawn(torch.rand, self.log_weights.shape, random, copies).to(self.means)
        noise = drawn(torch.randn, self.means.shape[:-1], random, copies).to(self.means)
        chosen = chosen_by(heated(self.log_weights, temperature), uniform)
        scale = self._component(self.log_scales, chosen).exp()
        if isinstance(temperature, Tensor):
            root = temperature.sqrt().view(-1, *[1] * (scale.ndim - 1))
            return self._component(self.means, chosen) + scale * root * noise
        return self._component(self.means, chosen) + scale * math.sqrt(temperature) * noise

    def _component(self, values: Tensor, chosen: Tensor) -> Tensor:
        chosen = chosen.expand(values.shape[:-1])
        return values.gather(-1, chosen[..., None])[..., 0]


def drawn(
    draw: Any, shape: Sequence[int], random: torch.Generator | None, copies: int = 1
) -> Tensor:
    """Random numbers of a shape (N, ...), of which the first N / copies are repeated."""
    first, *rest = shape
    numbers: Tensor = draw(first // copies, *rest, generator=random)
    return numbers.repeat(copies, *[1] * len(rest))


def chosen_by(logits: Tensor, uniform: Tensor) -> Tensor:
    """A choice (...,) from the softmax of logits (..., K), by uniform numbers of their shape."""
    # The largest of logits with Gumbel noise is distributed as their softmax.
    return (logits - torch.log(-torch.log(uniform.clamp(1e-20, 1 - 1e-7)))).argmax(-1)


def heated(log_probs: Tensor, temperature: float | Tensor) -> Tensor:
    """Logits of choices at a temperature, above 0, or at one for each of the N rows, (N,), of
    which 0 leaves the likeliest alone.

    Args:
        log_probs: (N, ...).
        temperature: Of all, or of each.
    """
    if not isinstance(temperature, Tensor):
        return log_probs / temperature
    # So near to 0 all noise is nothing beside the differences of the logits.
    return log_probs / temperature.clamp(min=1e-12).view(-1, *[1] * (log_probs.ndim - 1))


def per_number(outputs: Tensor, features: int, mixtures: int) -> Mixture:
    """The mixtures that outputs (..., features * mixtures * 3) stand for: for each number of a
    vector log weights, means and logarithms of scales.

    Scales are at least exp(-5), without which a number that never changes drives them to 0.
    """
    shaped = outputs.unflatten(-1, (features, 3, mixtures))
    logits, means, log_scales = shaped.unbind(-2)
    return Mixture(logits.log_softmax(-1), means, log_scales.clamp(min=-5.0))


def single(means: Tensor, log_scales: Tensor) -> Mixture:
    """One Gaussian around means (..., F), with scales that broadcast to it."""
    wide = log_scales.expand(means.shape)
    return Mixture(torch.zeros_like(means)[..., None], means[..., None], wide[..., None])
