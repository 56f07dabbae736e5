"""The behavior function B(s, d_r, d_h), as plain modules."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

CONDITIONINGS = ("gated", "bilinear")


class Gated(nn.Module):
    """Multiplies features by gates that the command opens: ``x * sigmoid(W c + b)``
    (arXiv:1912.02877v1).

    Takes features (N, F) and scaled commands (N, 2), gives (N, F).

    Args:
        features: Numbers in a feature vector.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.gates = nn.Linear(2, features)

    def forward(self, features: Tensor, commands: Tensor) -> Tensor:
        gates: Tensor = self.gates(commands).sigmoid()
        return features * gates


class Bilinear(nn.Module):
    """A layer whose weights the command makes: ``relu(W(c) x + b(c))``, W and b linear in
    ``(c, 1)`` (fast weights; the later variant of the paper).

    Takes features (N, F) and scaled commands (N, 2), gives (N, F).

    Args:
        features: Numbers in a feature vector.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weights = nn.Bilinear(features, 3, features, bias=False)
        self.biases = nn.Linear(2, features)

    def forward(self, features: Tensor, commands: Tensor) -> Tensor:
        with_one = torch.cat([commands, torch.ones_like(commands[:, :1])], dim=1)
        sums: Tensor = self.weights(features, with_one) + self.biases(commands)
        return sums.relu()


class BehaviorFunction(nn.Module):
    """From observations and commands to the numbers that describe a distribution of actions.

    Vectors go through a fully connected layer, images through convolutions of 3x3 pixels and
    stride 2; the command acts on what comes of that; fully connected layers follow.

    Args:
        observation_shape: Lengths of an observation: one, or (frames, height, width).
        outputs: Numbers that the head gives.
        hidden: Units of the fully connected layers.
        channels: Of the convolutions, for images.
        conditioning: ``gated`` or ``bilinear``.
        return_scale: A desired return is multiplied by it.
        horizon_scale: A desired horizon, in steps, is multiplied by it.
    """

    scales: Tensor

    def __init__(
        self,
        observation_shape: Sequence[int],
        outputs: int,
        hidden: Sequence[int] = (32, 128, 128, 128),
        channels: Sequence[int] = (32, 48, 96, 128),
        conditioning: str = "gated",
        return_scale: float = 0.02,
        horizon_scale: float = 0.02,
    ) -> None:
        super().__init__()
        self.embedding, features, rest = _embedding(observation_shape, hidden, channels)
        self.command = {"gated": Gated, "bilinear": Bilinear}[conditioning](features)
        layers: list[nn.Module] = []
        for units in rest:
            layers += [nn.Linear(features, units), nn.ReLU()]
            features = units
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(features, outputs)
        self.register_buffer("scales", torch.tensor([return_scale, horizon_scale]))
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                nn.init.orthogonal_(module.weight)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, observations: Tensor, commands: Tensor) -> Tensor:
        """Describe the actions.

        Args:
            observations: (N, O) of any numbers, or images (N, frames, H, W) with values from 0 to
                255.
            commands: float32 (N, 2): desired return, desired horizon in steps.

        Returns:
            (N, outputs).
        """
        kind = self.head.weight.dtype
        observations = observations.to(kind)
        if observations.ndim == 4:
            observations = observations / 255
        # Scaled first: the numbers of a command are large for a half precision.
        scaled = (commands * self.scales).to(kind)
        outputs: Tensor = self.head(self.body(self.command(self.embedding(observations), scaled)))
        return outputs


def _embedding(
    shape: Sequence[int], hidden: Sequence[int], channels: Sequence[int]
) -> tuple[nn.Module, int, Sequence[int]]:
    """What comes before the command, its number of features, and the layers that follow."""
    if len(shape) == 1:
        return nn.Sequential(nn.Linear(shape[0], hidden[0]), nn.Tanh()), hidden[0], hidden[1:]
    layers: list[nn.Module] = []
    before, height, width = shape
    for after in channels:
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU()]
        before, height, width = after, (height + 1) // 2, (width + 1) // 2
    return nn.Sequential(*layers, nn.Flatten()), before * height * width, hidden
