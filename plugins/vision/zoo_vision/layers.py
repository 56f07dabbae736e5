"""Activations and initializations: the papers' beside today's."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.plugin import one_of


class ScaledTanh(nn.Module):
    """``1.7159 tanh(0.6666 a)``: about the identity's variance for inputs of variance 1.

    Source: LeCun et al., Efficient BackProp, 1998, section 4.4; the activation of Ciresan et
    al. 2010-2012.
    """

    def forward(self, a: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(0.6666 * a)


# All of them are monotone: a layer may then pool before it activates, with equal results.
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "scaled_tanh": ScaledTanh,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
}
_GAINS = {"scaled_tanh": 1.0, "tanh": 5 / 3, "relu": 2**0.5, "leaky_relu": 2**0.5}
INITIALIZATIONS = ("kaiming", "xavier", "uniform")


def activation(name: str) -> nn.Module:
    """Build an activation by its name in ``ACTIVATIONS``.

    Raises:
        UsageError: there is none of this name.
    """
    one_of("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]()


@torch.no_grad()
def initialize(weight: Tensor, bias: Tensor, initialization: str, activation: str) -> None:
    """Draw the weights and biases of one convolutional or fully connected layer, in place.

    Args:
        weight: (out, in, ...) weights.
        bias: (out,) biases.
        initialization: ``uniform``: weights and biases from U[-0.05, 0.05], as in Ciresan et
            al. 2010-2012. ``kaiming``: normal with variance gain^2 / fan_in (He et al. 2015).
            ``xavier``: uniform with variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010).
            The last two set the biases to 0.
        activation: What follows the layer: decides kaiming's gain.

    Raises:
        UsageError: there is no such initialization.
    """
    one_of("initialization", initialization, INITIALIZATIONS)
    if initialization == "uniform":
        weight.uniform_(-0.05, 0.05)
        bias.uniform_(-0.05, 0.05)
        return
    if initialization == "kaiming":
        fan_in = weight[0].numel()
        weight.normal_(0.0, _GAINS.get(activation, 1.0) / fan_in**0.5)
    else:
        nn.init.xavier_uniform_(weight)
    bias.zero_()


def resize(images: Tensor, size: tuple[int, int], fit: str = "resize") -> Tensor:
    """Bring a batch to one size.

    Args:
        images: Float (N, C, H, W).
        size: Wanted (height, width).
        fit: ``resize``: bilinear, antialiased when shrinking. ``pad``: centered in a frame of
            zeros where the images are no larger than ``size``, else as ``resize``.
    """
    height, width = images.shape[-2:]
    if (height, width) == tuple(size):
        return images
    missing_rows, missing_columns = size[0] - height, size[1] - width
    if fit == "pad" and missing_rows >= 0 and missing_columns >= 0:
        top, left = missing_rows // 2, missing_columns // 2
        return F.pad(images, (left, missing_columns - left, top, missing_rows - top))
    shrinks = missing_rows < 0 or missing_columns < 0
    return F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=shrinks)
