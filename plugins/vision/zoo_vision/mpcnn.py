"""GPU max-pooling convolutional networks (Ciresan et al., IJCAI 2011)."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.plugin import UsageError
from zoo_vision import notation
from zoo_vision.classifier import Classifier
from zoo_vision.layers import activation as make_activation
from zoo_vision.layers import initialize


class MaxPoolingNet(nn.Sequential):
    """The network of a string in the papers' notation (see ``notation``).

    Every convolution and hidden layer is followed by the activation. Max-pooling has no weights
    and no activation; as all activations here are monotone, a convolution's activation is
    computed after its pooling: the same numbers from a quarter of the values. The output layer
    is called ``head``. Takes (N, maps, H, W), gives logits (N, classes).

    Args:
        net: The network, its sizes checked by ``notation.parse``.
        activation: Name in ``layers.ACTIVATIONS``.
        initialization: Name in ``layers.INITIALIZATIONS``.
        dropout: Probability of dropping a hidden unit, while training.
    """

    def __init__(
        self,
        net: notation.Network,
        activation: str = "relu",
        initialization: str = "kaiming",
        dropout: float = 0.0,
    ) -> None:
        modules: OrderedDict[str, nn.Module] = OrderedDict()
        before: notation.Layer | None = None
        weighted = 0
        for number, layer in enumerate(net.layers, start=1):
            if isinstance(layer, notation.Pooling):
                modules[f"pool{number}"] = nn.MaxPool2d(layer.window, ceil_mode=True)
                before = layer
                continue
            if weighted:
                modules[f"activation{weighted}"] = make_activation(activation)
            if isinstance(layer, notation.Convolution):
                maps = layer.before.channels, layer.after.channels
                modules[f"convolution{number}"] = nn.Conv2d(*maps, layer.kernel)
            else:
                if not isinstance(before, notation.Units):
                    modules["flatten"] = nn.Flatten()
                elif dropout:
                    modules[f"dropout{weighted}"] = nn.Dropout(dropout)
                name = "head" if number == len(net.layers) else f"units{number}"
                modules[name] = nn.Linear(layer.before, layer.after)
            weighted, before = number, layer
        super().__init__(modules)
        for module in self:
            if isinstance(module, nn.Conv2d | nn.Linear):
                assert module.bias is not None
                after = "" if module is self.head else activation
                initialize(module.weight, module.bias, initialization, after)

    def forward(self, images: Tensor) -> Tensor:
        if images.device.type == "cpu":
            # Pooling and these convolutions run about twice as fast on CPU with channels last.
            # A clone, because one channel counts as being in either order already.
            images = images.clone(memory_format=torch.channels_last)
        logits: Tensor = super().forward(images)  # type: ignore[no-untyped-call]
        return logits


class MPCNN(Classifier):
    """A max-pooling convolutional network in the papers' notation.

    Source: Ciresan, Meier, Masci, Gambardella, Schmidhuber: Flexible, High Performance
    Convolutional Neural Networks for Image Classification, IJCAI 2011. The paper's settings are
    activation ``scaled_tanh``, initialization ``uniform``, optimizer ``sgd`` without momentum,
    schedule ``exponential``, lr 0.001 and a batch of one image; the defaults are today's.

    Args:
        net: Input and layers, such as ``1x29x29-20C4-MP2-40C5-MP3-150N-10N``. A last ``-N``
            stands for as many units as the data has classes.
        activation: ``relu``, ``leaky_relu``, ``tanh`` or ``scaled_tanh``
            (1.7159 tanh(0.6666 a), the papers').
        initialization: ``kaiming``, ``xavier`` or ``uniform`` (U[-0.05, 0.05], the papers').
        dropout: Probability of dropping a unit of the fully connected hidden layers.
        partial_pooling: Keep a smaller last pooling region where a size does not divide,
            instead of refusing the network.
        training: The arguments of ``Classifier``.

    Raises:
        UsageError: the network does not add up or does not fit the data.
    """

    def __init__(
        self,
        net: str = "1x29x29-20C4-MP2-40C5-MP3-150N-N",
        activation: Literal["relu", "leaky_relu", "tanh", "scaled_tanh"] = "relu",
        initialization: Literal["kaiming", "xavier", "uniform"] = "kaiming",
        dropout: float = 0.0,
        partial_pooling: bool = False,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        self.hparams["net"] = notation.open_ended(net)  # so that a new task may bring its classes
        parsed = parse_for(net, self.num_classes, self.in_channels, partial_pooling)
        self.input_size = (parsed.input.height, parsed.input.width)
        self.network = MaxPoolingNet(parsed, activation, initialization, dropout)


def parse_for(
    net: str, num_classes: int, in_channels: int, partial_pooling: bool = False
) -> notation.Network:
    """Parse a network and check that it takes images of ``in_channels`` channels.

    Raises:
        UsageError: it does not.
    """
    parsed = notation.parse(net, num_classes, partial_pooling)
    if parsed.input.channels != in_channels:
        size = f"{parsed.input.height}x{parsed.input.width}"
        raise UsageError(
            f"network {net!r} takes {parsed.input.channels} channel(s) but the data has "
            f"{in_channels}; start it with '{in_channels}x{size}'"
        )
    return parsed
