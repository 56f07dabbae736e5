"""Domain-adversarial training: a speaker classifier that the layers below learn to mislead.

Source: Ganin, Lempitsky, Unsupervised Domain Adaptation by Backpropagation, ICML 2015; for
lipreading Wand, Schmidhuber, Improving Speaker-Independent Lipreading with Domain-Adversarial
Training, Interspeech 2017.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.plugin import UsageError
from zoo_lipreading.layers.masking import chosen, masked_mean, valid_frames
from zoo_lipreading.networks import Representation


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return inputs.view_as(inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * gradients[0], None


def reverse_gradient(inputs: Tensor, weight: float) -> Tensor:
    """The inputs as they are; the gradient comes back times ``-weight``."""
    result = _Reversal.apply(inputs, weight)
    assert isinstance(result, Tensor)
    return result


@dataclass(frozen=True)
class Schedule:
    """How the reversed gradient's weight grows from 0 to its maximum.

    At time t, counted in ``unit`` and divided by ``length``::

        weight = maximum (2 / (1 + exp(-gamma t)) - 1)

    With gamma 10 it is within a hundredth of the maximum at t = 0.53; gamma 0 stands for the
    maximum from the start. Libraries differ in gamma, in the unit and in the length, so all
    three are arguments here.

    Attributes:
        maximum: Weight that is approached.
        gamma: Steepness; 0 is constant.
        unit: ``step`` or ``epoch``.
        length: Steps or epochs in which t comes to 1.
    """

    maximum: float
    gamma: float
    unit: str
    length: float

    def __call__(self, step: int, epoch: int) -> float:
        """The weight after so many whole steps and epochs."""
        if self.gamma == 0:
            return self.maximum
        time = (step if self.unit == "step" else epoch) / self.length
        return self.maximum * (2 / (1 + math.exp(-self.gamma * time)) - 1)


class Adversary(nn.Module):
    """Tells speakers apart by one layer's output, and sends a reversed gradient into it.

    Args:
        features: Units of the layer it is attached to.
        classes: What it tells apart: 2 domains, or the speakers.
        hidden: Units of its own layers.
        dropout: Rate before its layers.
        attach: Index of a feed-forward layer, or ``lstm``.
        level: ``segment`` gives it one vector a clip (the LSTM's state at the clip's end, or the
            mean of a feed-forward layer over the frames), ``frame`` every frame by itself.
    """

    def __init__(
        self,
        features: int,
        classes: int,
        hidden: Sequence[int],
        dropout: float,
        attach: int | str,
        level: str,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Dropout(dropout)]
        for units in hidden:
            layers += [nn.Linear(features, units), nn.Tanh()]
            features = units
        self.network = nn.Sequential(*layers, nn.Linear(features, classes))
        self.attach = attach
        self.level = level

    def forward(
        self, representation: Representation, lengths: Tensor, speakers: Tensor, weight: float
    ) -> tuple[Tensor, Tensor]:
        """Classify the speakers of clips.

        Args:
            representation: What the encoder made of N clips.
            lengths: int64 (N,), frames of each clip.
            speakers: int64 (N,), classes.
            weight: Of the reversed gradient.

        Returns:
            Mean cross-entropy over clips, or over all their frames, and the fraction of these that
            were told right.
        """
        if self.level == "segment":
            vectors = (
                representation.segment
                if self.attach == "lstm"
                else masked_mean(representation.layers[int(self.attach)], lengths)
            )
            target = speakers
        else:
            sequence = (
                representation.sequence
                if self.attach == "lstm"
                else representation.layers[int(self.attach)]
            )
            own = valid_frames(lengths, sequence.shape[1])
            vectors = chosen(sequence, own)
            target = chosen(speakers[:, None].expand(own.shape), own)
        logits = self.network(reverse_gradient(vectors, weight))
        return F.cross_entropy(logits, target), (logits.argmax(dim=1) == target).float().mean()


def read_attach(attach: str, layers: int) -> int | str:
    """Where the adversary is attached, from its text.

    Args:
        attach: ``lstm``, or the index of a feed-forward layer, from 0.
        layers: Number of feed-forward layers.

    Raises:
        UsageError: it is neither.
    """
    if attach == "lstm":
        return attach
    if attach.isdecimal() and int(attach) < layers:
        return int(attach)
    raise UsageError(
        f"adversary_attach has to be one of {', '.join(['lstm', *map(str, range(layers))])}, "
        f"not {attach!r}"
    )
