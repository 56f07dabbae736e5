"""Nets of a state and a goal; plain modules, usable without Lightning."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.plugin import UsageError

IMAGE_SIZE = 84
"""Side that images are brought to, in pixels."""
MIN_PROBABILITY = 1e-12
"""Added to the probability of each action, as the authors' code does."""


def log_probabilities(scores: Tensor) -> Tensor:
    """Logarithms of the softmax over the last axis, none below that of ``MIN_PROBABILITY``.

    With a baseline, the hindsight estimators also push actions away that the policy would never
    take for a goal. Without the bound nothing ends that: their scores run off and spoil the net
    for all others.
    """
    if scores.dtype in (torch.float16, torch.bfloat16):
        scores = scores.float()  # which has numbers as small as the bound
    return (scores.softmax(-1) + MIN_PROBABILITY).log()


class GoalNet(nn.Module):
    """A net of a state and a goal with tanh units, the two joined in the first hidden layer.

    That layer's input is the sum of a part of the state and a part of the goal, so that of S
    states and G goals only S + G parts are computed for all S * G pairs. It is the same function
    as a layer on the state followed by the goal.

    Args:
        observation_shape: (numbers,), or (height, width, channels) of images with values up to
            255, which are brought to 84x84 and go through three convolutions (32 of 8x8, stride
            4; 64 of 4x4, stride 2; 64 of 3x3).
        goal_size: Numbers in a goal.
        outputs: Numbers that come out.
        hidden: Units of the hidden layers.
        initial: Standard deviation of the weights in the beginning, drawn from a normal
            distribution cut at two of them; None for Glorot's uniform distribution.

    Raises:
        UsageError: there is no hidden layer, or the convolutions do not fit the observation.
    """

    def __init__(
        self,
        observation_shape: Sequence[int],
        goal_size: int,
        outputs: int,
        hidden: Sequence[int],
        initial: float | None,
    ) -> None:
        super().__init__()
        if not hidden or min(hidden) < 1:
            raise UsageError(
                f"hidden has to name one layer or more, each of 1 unit or more, not {list(hidden)}"
            )
        if len(observation_shape) == 1:
            self.trunk: nn.Module = nn.Identity()
            features = observation_shape[0]
        elif len(observation_shape) == 3:
            self.trunk = ImageTrunk(observation_shape[-1])
            features = self.trunk.features
        else:
            raise UsageError(
                f"the net takes observations of (numbers,) or (height, width, channels), not of "
                f"{tuple(observation_shape)}"
            )
        self.from_state = nn.Linear(features, hidden[0])
        self.from_goal = nn.Linear(goal_size, hidden[0], bias=False)
        layers: list[nn.Module] = []
        for inputs, units in pairwise(hidden):
            layers += [Tanh(), nn.Linear(inputs, units)]
        self.layers = nn.Sequential(*layers, Tanh())
        self.head = nn.Linear(hidden[-1], outputs)
        self._initialize(initial, features + goal_size)

    def state_part(self, observations: Tensor) -> Tensor:
        """What states (N, ...) add to the first hidden layer, (N, units)."""
        part: Tensor = self.from_state(self.trunk(observations.to(self.from_state.weight.dtype)))
        return part

    def goal_part(self, goals: Tensor) -> Tensor:
        """What goals (N, D) add to the first hidden layer, (N, units)."""
        part: Tensor = self.from_goal(goals.to(self.from_goal.weight.dtype))
        return part

    def joined(self, sums: Tensor) -> Tensor:
        """Outputs (N, outputs) from sums (N, units) of a state's and a goal's part."""
        outputs: Tensor = self.head(self.layers(sums))
        return outputs

    def forward(self, observations: Tensor, goals: Tensor) -> Tensor:
        """Outputs (N, outputs) for observations (N, ...) and goals (N, D)."""
        return self.joined(self.state_part(observations) + self.goal_part(goals))

    @torch.no_grad()
    def _initialize(self, initial: float | None, joined: int) -> None:
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif initial is not None and not name.startswith("trunk"):
                nn.init.trunc_normal_(parameter, std=initial, a=-2 * initial, b=2 * initial)
            elif name in ("from_state.weight", "from_goal.weight"):  # one layer in two parts
                bound = (6 / (joined + len(parameter))) ** 0.5
                parameter.uniform_(-bound, bound)
            else:
                nn.init.xavier_uniform_(parameter)


class Tanh(nn.Module):
    """The hyperbolic tangent to within 1e-7, by torch's sigmoid, which on a CPU takes a tenth of
    the time of its tanh."""

    def forward(self, values: Tensor) -> Tensor:
        return torch.sigmoid(2 * values) * 2 - 1


class ImageTrunk(nn.Module):
    """Three convolutions with tanh units on images of 84x84.

    Args:
        channels: Channels of a image, which is (height, width, channels), 0 to 255.
    """

    features = 64 * 7 * 7
    """Numbers that come out."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, 32, 8, 4),
            nn.Tanh(),
            nn.Conv2d(32, 64, 4, 2),
            nn.Tanh(),
            nn.Conv2d(64, 64, 3, 1),
            nn.Tanh(),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, 3136) of images (N, height, width, channels)."""
        small = F.interpolate(images.movedim(-1, 1), (IMAGE_SIZE, IMAGE_SIZE), mode="nearest")
        features: Tensor = self.convolutions(small / 255)
        return features.flatten(1)
