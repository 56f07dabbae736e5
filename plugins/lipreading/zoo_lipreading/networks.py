"""The lipreading network: frames, feed-forward layers, LSTM, classification of the clip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from zoo_lipreading.layers.frames import ACTIVATIONS, ConvolutionalFront, Deltas, FrameLayers
from zoo_lipreading.layers.masking import masked_mean, own_frames, pad_frames
from zoo_lipreading.layers.recurrent import Recurrent


class Representation(NamedTuple):
    """What the layers make of a batch of clips.

    Attributes:
        layers: Outputs of the feed-forward layers, or their input if there is none, each
            (N, T, size).
        sequence: Outputs of the LSTM, (N, T, features).
        segment: One vector a clip, (N, features).
    """

    layers: list[Tensor]
    sequence: Tensor
    segment: Tensor


class FrameEncoder(nn.Module):
    """A vector for each mouth image.

    Args:
        image_size: (H, W) of a frame.
        deltas: Order of the frame differences given beside the images: 0, 1 or 2.
        channels: Output channels of convolutions that each halve the image; none for the plain
            feed-forward net.
        feedforward: Units of the feed-forward layers on each frame.
        activation: Of these: ``tanh`` or ``relu``.
        dropout: Rate after each layer.
    """

    def __init__(
        self,
        image_size: Sequence[int],
        deltas: int = 0,
        channels: Sequence[int] = (),
        feedforward: Sequence[int] = (128, 128),
        activation: str = "tanh",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        height, width = image_size
        self.deltas = Deltas(deltas)
        count = (deltas + 1) * height * width
        self.front: ConvolutionalFront | None = None
        if channels:
            self.front = ConvolutionalFront(deltas + 1, (height, width), channels, dropout / 2)
            count = self.front.features
        self.feedforward = FrameLayers(count, feedforward, activation, dropout)
        self.features = self.feedforward.features

    def forward(self, video: Tensor, lengths: Tensor | None = None) -> list[Tensor]:
        """The outputs of the feed-forward layers, or their input if there is none, (N, T, size).

        Args:
            video: (N, T, H, W), normalized, padded after each clip's end.
            lengths: int64 (N,), frames of each clip; None where all are T long.
        """
        # Padding is left out: it takes a third of the time, and would be in batch statistics.
        images = self.deltas(*own_frames(video, lengths))
        vectors = images.flatten(1) if self.front is None else self.front(images)
        shape = (video.shape[0], video.shape[1])
        return [pad_frames(each, lengths, shape) for each in self.feedforward(vectors) or [vectors]]


class Encoder(nn.Module):
    """Clips of mouth images to sequences and to one vector a clip.

    Args:
        image_size: (H, W) of a frame.
        lstm: Units of each LSTM layer.
        bidirectional: Also read clips backwards.
        pooling: What stands for a clip: ``last`` is the LSTM's state after its last valid frame,
            ``mean`` the mean over its frames.
        dropout: Rate after each layer.
        lstm_dropout: Rate after the last LSTM layer where it is another one.
        frames: The other arguments of ``FrameEncoder``.
    """

    def __init__(
        self,
        image_size: Sequence[int],
        lstm: Sequence[int] = (128,),
        bidirectional: bool = False,
        pooling: str = "last",
        dropout: float = 0.5,
        lstm_dropout: float | None = None,
        **frames: Any,
    ) -> None:
        super().__init__()
        self.frames = FrameEncoder(image_size, dropout=dropout, **frames)
        self.lstm = Recurrent(self.frames.features, lstm, bidirectional, dropout, lstm_dropout)
        self.pooling = pooling
        self.features = self.lstm.features

    def forward(self, video: Tensor, lengths: Tensor | None = None) -> Representation:
        """Read clips.

        Args:
            video: (N, T, H, W), normalized, padded after each clip's end.
            lengths: int64 (N,), frames of each clip; None where all are T long.
        """
        layers = self.frames(video, lengths)
        sequence, last = self.lstm(layers[-1], lengths)
        segment = last if self.pooling == "last" else masked_mean(sequence, lengths)
        return Representation(layers, sequence, segment)


class LipreaderNet(nn.Module):
    """Clips of mouth images to the word that is spoken in each.

    Args:
        encoder: What reads the clips.
        num_classes: Number of words.
        classifier: Units of layers between the encoder and the words.
        activation: Of those layers: ``tanh`` or ``relu``.
    """

    def __init__(
        self,
        encoder: Encoder,
        num_classes: int,
        classifier: Sequence[int] = (),
        activation: str = "tanh",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        layers: list[nn.Module] = []
        size = encoder.features
        for units in classifier:
            layers += [nn.Linear(size, units), ACTIVATIONS[activation]()]
            size = units
        self.classifier = nn.Sequential(*layers)
        self.head = nn.Linear(size, num_classes)

    def forward(self, video: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Classify clips.

        Args:
            video: (N, T, H, W), normalized, padded after each clip's end.
            lengths: int64 (N,), frames of each clip; None where all are T long.

        Returns:
            Logits (N, num_classes).
        """
        return self.classify(self.encoder(video, lengths))

    def classify(self, representation: Representation) -> Tensor:
        """Logits (N, num_classes) of clips that were read."""
        logits: Tensor = self.head(self.classifier(representation.segment))
        return logits


def initialize(module: nn.Module, std: float) -> None:
    """Draw a net's parameters as the lab's later program does.

    Weights and biases of feed-forward and convolutional layers come from a normal distribution cut
    at two deviations. An LSTM keeps TensorFlow's own: its two matrices, side by side, uniform
    within sqrt(6 / (inputs + units + 4 units)), biases 0, and 1 for the forget gate.

    Source: ascarrambad/lipreading, Model/Helpers/layers.py, with std 0.1.
    """
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                for parameter in layer.parameters():
                    nn.init.trunc_normal_(parameter, std=std, a=-2 * std, b=2 * std)
            elif isinstance(layer, nn.LSTM):
                _initialize_lstm(layer)


def _initialize_lstm(layer: nn.LSTM) -> None:
    units = layer.hidden_size
    bound = (6 / (layer.input_size + 5 * units)) ** 0.5
    for name, parameter in layer.named_parameters():
        if name.startswith("weight"):
            nn.init.uniform_(parameter, -bound, bound)
        else:
            parameter.zero_()
            if name.startswith("bias_ih"):  # gates: input, forget, cell, output
                parameter[units : 2 * units] = 1
