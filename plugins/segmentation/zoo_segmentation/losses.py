"""Losses by name, of logits (N, K, ...) and labels (N, 1, ...)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from monai.losses import DiceCELoss
from torch import Tensor

from zoo.plugin import one_of

LOSSES = ("dice-ce", "softmax-squared")


def softmax_squared(logits: Tensor, labels: Tensor) -> Tensor:
    """Half the mean squared error of the softmax, over voxels and classes.

    Source: Stollenga et al. 2015, section 4, who found it better than the log-likelihood.

    Args:
        logits: (N, K, ...).
        labels: int64 (N, 1, ...).
    """
    target = torch.zeros_like(logits).scatter_(1, labels, 1.0)
    return 0.5 * (logits.softmax(dim=1) - target).square().mean()


def loss(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """A loss: ``dice-ce`` (soft Dice of the foreground + cross-entropy) or ``softmax-squared``.

    Raises:
        UsageError: there is no such loss.
    """
    one_of("loss", name, LOSSES)
    if name == "softmax-squared":
        return softmax_squared
    return DiceCELoss(include_background=False, to_onehot_y=True, softmax=True)
