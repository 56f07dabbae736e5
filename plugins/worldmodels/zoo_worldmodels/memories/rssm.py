"""A small recurrent state-space model with categorical latents.

    h_{t+1} = GRU(h_t, [s_t, a_t])                 the deterministic path
    prior      p(s | h)      what is expected      `groups` choices of `classes` each
    posterior  q(s | h, x)   what was seen
    features   p(x | h, s)   a Gaussian

    loss = -log p(x | h, s) + 0.5 max(1, KL(sg q || p)) + 0.1 max(1, KL(q || sg p))

Hafner et al.: Learning Latent Dynamics for Planning from Pixels, arXiv:1811.04551; categorical
latents with straight-through gradients: arXiv:2010.02193; the weights of the two divergences, free
bits and one per cent of uniform probability: arXiv:2301.04104 (unverified).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo_worldmodels.memories.base import Memory, State, limited
from zoo_worldmodels.mixtures import Mixture, drawn, heated, single

_UNIFORM = 0.01
_FREE = 1.0
_DYNAMICS, _REPRESENTATION = 0.5, 0.1


class RSSM(Memory):
    """A state is (h, s, features), s one-hot (N, groups * classes).

    Args:
        features: Numbers that describe the world.
        actions: Numbers in an action.
        hidden: Units of the deterministic path.
        groups: Categorical latents.
        classes: Of each.
        samples: Latents drawn from the prior, whose Gaussians are the mixture of an outlook.
    """

    def __init__(
        self,
        features: int,
        actions: int,
        hidden: int = 128,
        groups: int = 16,
        classes: int = 16,
        samples: int = 8,
    ) -> None:
        super().__init__()
        self.features, self.actions = features, actions
        self.groups, self.classes, self.samples = groups, classes, samples
        size = groups * classes
        self.readout_size = features + hidden + size
        self.recurrent = nn.GRUCell(size + actions, hidden)
        self.prior = _mlp(hidden, hidden, size)
        self.posterior = _mlp(hidden + features, hidden, size)
        self.decoder = _mlp(hidden + size, hidden, features)
        self.log_scales = nn.Parameter(torch.full((features,), -1.0))

    def begin(self, features: Tensor) -> State:
        hidden = features.new_zeros(features.shape[0], self.recurrent.hidden_size)
        return self.observe((hidden,), features)

    def predict(self, state: State, action: Tensor) -> tuple[Mixture, State]:
        hidden, latent, features = state
        after = self.recurrent(torch.cat([latent, action], -1), hidden)
        log_probs = self._log_probs(self.prior(after))
        latents = [self._mode(log_probs)] + [_draw(log_probs) for _ in range(self.samples - 1)]
        wide = after[:, None].expand(-1, self.samples, -1)
        means = self.decoder(torch.cat([wide, torch.stack(latents, 1).flatten(2)], -1))
        around = single(means, self._scales)
        equal = means.new_full((len(means), 1, self.samples), -math.log(self.samples))
        mixture = Mixture(
            equal, around.means[..., 0].mT.contiguous(), around.log_scales[..., 0].mT.contiguous()
        )
        return mixture, (after, features)

    def expected(self, state: State, action: Tensor) -> tuple[Tensor, State]:
        """With the likeliest latent of the prior."""
        hidden, latent, features = state
        after = self.recurrent(torch.cat([latent, action], -1), hidden)
        likeliest = self._mode(self._log_probs(self.prior(after))).flatten(1)
        means: Tensor = self.decoder(torch.cat([after, likeliest], -1))
        return means, (after, features)

    def observe(self, advanced: State, features: Tensor) -> State:
        log_probs = self._log_probs(self.posterior(torch.cat([advanced[0], features], -1)))
        return advanced[0], self._mode(log_probs).flatten(1), features

    def imagine(
        self,
        state: State,
        action: Tensor,
        random: torch.Generator | None = None,
        temperature: float | Tensor = 1.0,
        copies: int = 1,
        limits: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """In latents: the state goes on with what is drawn from the prior."""
        hidden = self.recurrent(torch.cat([state[1], action], -1), state[0])
        log_probs = self._log_probs(self.prior(hidden))
        choice = (
            self._mode(log_probs)
            if not isinstance(temperature, Tensor) and temperature <= 0
            else _draw(log_probs, random, temperature, copies)
        )
        latent = choice.flatten(1)
        means = self.decoder(torch.cat([hidden, latent], -1))
        drawn_features = single(means, self._scales).sample(random, temperature, copies)
        features = limited(drawn_features, limits)
        return features, (hidden, latent, features)

    def readout(self, state: State) -> Tensor:
        hidden, latent, features = state
        return torch.cat([features, hidden, latent], -1)

    def losses(self, seen: Tensor, actions: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        hidden = seen.new_zeros(len(seen), self.recurrent.hidden_size)
        latent = self._posterior(hidden, seen[:, 0])[1]
        losses, readouts = [], []
        for step in range(actions.shape[1]):
            hidden = self.recurrent(torch.cat([latent, actions[:, step]], -1), hidden)
            after = target[:, step]
            expected = self._log_probs(self.prior(hidden))
            found, latent = self._posterior(hidden, after)
            means = self.decoder(torch.cat([hidden, latent], -1))
            losses.append(
                -single(means, self._scales).log_prob(after)
                + _DYNAMICS * _divergence(found.detach(), expected).clamp(min=_FREE)
                + _REPRESENTATION * _divergence(found, expected.detach()).clamp(min=_FREE)
            )
            readouts.append(torch.cat([after, hidden, latent], -1))
        return torch.stack(losses, 1), torch.stack(readouts, 1)

    @property
    def _scales(self) -> Tensor:
        return self.log_scales.clamp(min=-7.0)

    def _posterior(self, hidden: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Log probabilities, and a one-hot draw through which gradients pass straight."""
        log_probs = self._log_probs(self.posterior(torch.cat([hidden, features], -1)))
        probs = log_probs.exp()
        return log_probs, (_draw(log_probs) + probs - probs.detach()).flatten(1)

    def _log_probs(self, logits: Tensor) -> Tensor:
        probs: Tensor = logits.unflatten(-1, (self.groups, self.classes)).softmax(-1)
        return ((1 - _UNIFORM) * probs + _UNIFORM / self.classes).log()

    def _mode(self, log_probs: Tensor) -> Tensor:
        return F.one_hot(log_probs.argmax(-1), self.classes).to(log_probs.dtype)


def _draw(
    log_probs: Tensor,
    random: torch.Generator | None = None,
    temperature: float | Tensor = 1.0,
    copies: int = 1,
) -> Tensor:
    """One-hot choices (..., classes) from log probabilities of the same shape."""
    if random is None and copies == 1:
        uniform = torch.rand_like(log_probs)
    else:
        uniform = drawn(torch.rand, log_probs.shape, random, copies).to(log_probs)
    gumbel = -torch.log(-torch.log(uniform.clamp(1e-20, 1 - 1e-7)))
    chosen = (heated(log_probs, temperature) + gumbel).argmax(-1)
    return F.one_hot(chosen, log_probs.shape[-1]).to(log_probs.dtype)


def _divergence(first: Tensor, second: Tensor) -> Tensor:
    """KL of categorical distributions, summed over groups: (N,)."""
    return (first.exp() * (first - second)).sum((-2, -1))


def _mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.LayerNorm(hidden), nn.SiLU(), nn.Linear(hidden, outputs)
    )
