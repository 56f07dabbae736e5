"""What a log has seen: where a dream leaves it, the world model knows nothing.

    reach = the distance within which 99 of 100 states of the log have a state of another episode
    a state is known if a state of the log is within reach of it

Kidambi et al.: MOReL: model-based offline reinforcement learning, arXiv:2005.05951, section 4, ends
a dream where what is known ends, at a low reward. There an ensemble of models tells, by its
disagreement; here the log does, by the distance to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.plugin import UsageError

_WITHIN = 0.99


class Support(nn.Module):
    """States of a log, and how far from them is too far.

    Args:
        count: States that are kept.
        features: Numbers of each.
    """

    states: Tensor
    reach: Tensor
    worst: Tensor

    def __init__(self, count: int, features: int) -> None:
        super().__init__()
        self.register_buffer("states", torch.zeros(count, features))
        self.register_buffer("reach", torch.zeros(()))
        # The least return of an episode, in the world's unit: at which a dream ends that leaves.
        self.register_buffer("worst", torch.zeros(()))

    def keep(self, trails: Sequence[Tensor], worst: float) -> None:
        """Keep states of a log, evenly spaced along it.

        Args:
            trails: Features of each episode, (T + 1, F), as the memory reads them.
            worst: The least return of an episode.

        Raises:
            UsageError: there is one episode only, so that none can tell of another.
        """
        if len(trails) < 2:
            raise UsageError(
                "the log has one episode to learn from, and how far its states lie apart is "
                "measured between episodes: set --model.support 0"
            )
        features = torch.cat(list(trails))
        lengths = torch.tensor([len(each) for each in trails])
        episodes = torch.arange(len(trails)).repeat_interleave(lengths).to(features.device)
        chosen = torch.arange(len(self.states)) * len(features) // len(self.states)
        self.states.copy_(features[chosen])
        numbers = episodes[chosen]
        away = torch.cdist(self.states, self.states)
        away = away.masked_fill(numbers[:, None] == numbers, torch.inf).amin(1)
        self.reach.copy_(away.quantile(_WITHIN))
        self.worst.fill_(worst)

    def left(self, features: Tensor) -> Tensor:
        """Whether each is beyond what the log has seen: bool (N,), for features (N, F)."""
        return torch.cdist(features, self.states).amin(1) > self.reach
