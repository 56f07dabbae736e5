"""Models with one recurrent layer: the MDN-LSTM of 2018, and the deterministic one of 1990.

MDN-LSTM: Ha, Schmidhuber: World Models, arXiv:1803.10122, section A.2: an LSTM whose outputs are,
for each latent by itself, the weights, means and scales of five Gaussians. 422,368 weights in
CarRacing (32 latents, 3 actions, 256 units) and 1,678,785 in Doom (64 latents, one action, 512
units, with the end of the episode predicted and its beginning told). The gates have one bias each.

Deterministic: a GRU that predicts the change of the features, as a recurrent model of 1990 did
(FKI-126-90); around its prediction lies a Gaussian whose scales are learnt and always the same.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo_worldmodels.memories.base import Memory, State
from zoo_worldmodels.mixtures import Mixture, per_number, single


class MDNLSTM(Memory):
    """Mixtures of Gaussians from an LSTM. A state is (h, c, features, whether an episode begins).

    Args:
        features: Latents.
        actions: Numbers in an action.
        hidden: Units.
        mixtures: Gaussians for each latent.
        ends: Predict the end of the episode by one more output, and take its beginning as one
            more input, as in Doom.
        residual: Means are differences from the features before. The published net has none.
    """

    def __init__(
        self,
        features: int,
        actions: int,
        hidden: int = 256,
        mixtures: int = 5,
        ends: bool = False,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.features, self.actions, self.mixtures, self.ends = features, actions, mixtures, ends
        self.residual = residual
        self.readout_size, self.extra_size = features + hidden, hidden
        self.recurrent = nn.LSTM(features + actions + ends, hidden, batch_first=True)
        # One bias a gate, as published: torch adds a second one, which would do the same.
        second = dict(self.recurrent.named_parameters())["bias_hh_l0"]
        nn.init.zeros_(second).requires_grad_(False)
        self.output = nn.Linear(hidden, 3 * features * mixtures + ends)

    def begin(self, features: Tensor) -> State:
        zeros = features.new_zeros(features.shape[0], self.recurrent.hidden_size)
        return zeros, zeros, features, features.new_ones(features.shape[0], 1)

    def predict(self, state: State, action: Tensor) -> tuple[Mixture, State]:
        hidden, cell, features, begins = state
        inputs = [features, action] + ([begins] if self.ends else [])
        # One step by the cell's own operation: exporters take the layer for whole sequences alone.
        after, cells = torch.lstm_cell(
            torch.cat(inputs, -1), (hidden, cell), *dict(self.recurrent.named_parameters()).values()
        )
        outputs = self.output(after)
        advanced = (after, cells, features, torch.zeros_like(begins))
        return self._mixture(outputs, features), advanced

    def observe(self, advanced: State, features: Tensor) -> State:
        hidden, cell, _, begins = advanced
        return hidden, cell, features, begins

    def readout(self, state: State) -> Tensor:
        hidden, _, features, _ = state
        return torch.cat([features, hidden], -1)

    def extra(self, state: State) -> Tensor:
        """The cells, (N, hidden)."""
        return state[1]

    def end_logits(self, readout: Tensor) -> Tensor:
        """Of the episode's end with the step that led to each readout (..., readout_size): (...,).
        Only with ``ends``."""
        logits: Tensor = self.output(readout[..., self.features :])[..., -1]
        return logits

    def losses(self, seen: Tensor, actions: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        outputs, hidden = self._unroll(seen, actions)
        mixture = self._mixture(outputs, seen)
        return -mixture.log_prob(target), torch.cat([target, hidden], -1)

    def _unroll(self, features: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        inputs = [features, actions]
        if self.ends:
            begins = torch.zeros_like(features[..., :1])
            begins[:, 0] = 1
            inputs.append(begins)
        hidden, _ = self.recurrent(torch.cat(inputs, -1))
        return self.output(hidden), hidden

    def _mixture(self, outputs: Tensor, before: Tensor) -> Mixture:
        count = 3 * self.features * self.mixtures
        found = per_number(outputs[..., :count], self.features, self.mixtures)
        if not self.residual:
            return found
        return Mixture(found.log_weights, found.means + before[..., None], found.log_scales)


class DeterministicGRU(Memory):
    """A prediction without chance from a GRU. A state is (h, features).

    Args:
        features: Numbers that describe the world.
        actions: Numbers in an action.
        hidden: Units.
        residual: Predict differences.
    """

    def __init__(
        self, features: int, actions: int, hidden: int = 128, residual: bool = True
    ) -> None:
        super().__init__()
        self.features, self.actions, self.residual = features, actions, residual
        self.readout_size = features + hidden
        self.recurrent = nn.GRU(features + actions, hidden, batch_first=True)
        self.output = nn.Sequential(
            nn.Linear(hidden + features + actions, hidden), nn.SiLU(), nn.Linear(hidden, features)
        )
        self.log_scales = nn.Parameter(torch.full((features,), -1.0))
        if residual:  # a world that stays as it is, to begin with
            with torch.no_grad():
                for each in self.output[-1].parameters():
                    each.mul_(0.01)

    def begin(self, features: Tensor) -> State:
        return features.new_zeros(features.shape[0], self.recurrent.hidden_size), features

    def predict(self, state: State, action: Tensor) -> tuple[Mixture, State]:
        hidden, features = state
        inputs = torch.cat([features, action], -1)
        after = torch.gru_cell(inputs, hidden, *dict(self.recurrent.named_parameters()).values())
        return self._around(after, inputs, features), (after, features)

    def observe(self, advanced: State, features: Tensor) -> State:
        return advanced[0], features

    def readout(self, state: State) -> Tensor:
        hidden, features = state
        return torch.cat([features, hidden], -1)

    def losses(self, seen: Tensor, actions: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        inputs = torch.cat([seen, actions], -1)
        hidden, _ = self.recurrent(inputs)
        outlook = self._around(hidden, inputs, seen)
        return -outlook.log_prob(target), torch.cat([target, hidden], -1)

    def _around(self, hidden: Tensor, inputs: Tensor, before: Tensor) -> Mixture:
        change = self.output(torch.cat([hidden, inputs], -1))
        means = before + change if self.residual else change
        return single(means, self.log_scales.clamp(min=-7.0))
