"""Deep big simple nets: plain multilayer perceptrons (Ciresan et al. 2010)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

from zoo.plugin import require
from zoo_vision.classifier import Classifier, height_and_width
from zoo_vision.mpcnn import MaxPoolingNet
from zoo_vision.notation import Maps, Network, Units


class MLP(Classifier):
    """A multilayer perceptron on pixels.

    Source: Ciresan, Meier, Gambardella, Schmidhuber: Deep, Big, Simple Neural Nets for
    Handwritten Digit Recognition, Neural Computation 22(12), 2010 (arXiv:1003.0358), which
    trains 2500-2000-1500-1000-500 on strongly deformed 29x29 images.

    Args:
        hidden: Units of the hidden layers, first to last.
        input_size: Height and width to which images are brought.
        activation: ``relu``, ``leaky_relu``, ``tanh`` or ``scaled_tanh``
            (1.7159 tanh(0.6666 a), the paper's).
        initialization: ``kaiming``, ``xavier`` or ``uniform`` (U[-0.05, 0.05], the paper's).
        dropout: Probability of dropping a hidden unit, while training.
        training: The arguments of ``Classifier``.

    Raises:
        UsageError: a size is below 1, or an argument of ``Classifier`` is wrong.
    """

    conformance_arguments = {"hidden": [32, 16]}  # noqa: RUF012

    def __init__(
        self,
        hidden: list[int] = [2500, 2000, 1500, 1000, 500],  # noqa: B006 (shown in the help)
        input_size: list[int] = [29, 29],  # noqa: B006
        activation: Literal["relu", "leaky_relu", "tanh", "scaled_tanh"] = "relu",
        initialization: Literal["kaiming", "xavier", "uniform"] = "kaiming",
        dropout: float = 0.0,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        require(min(hidden, default=1) >= 1, f"hidden is {hidden}; every layer needs 1 or more")
        self.input_size = height_and_width("input_size", input_size)
        pixels = Maps(self.in_channels, *self.input_size)
        sizes = [pixels.values, *hidden, self.num_classes]
        layers = tuple(Units(*pair) for pair in pairwise(sizes))
        self.network = MaxPoolingNet(Network(pixels, layers), activation, initialization, dropout)
