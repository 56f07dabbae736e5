"""Losses by name, of logits (N, K, ...) and labels (N, 1, ...), some of which may not count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.plugin import one_of
from zoo_segmentation.data.volume import IGNORED

LOSSES = ("dice-ce", "softmax-squared")
Loss = Callable[[Tensor, Tensor], Tensor]


def softmax_squared(logits: Tensor, labels: Tensor) -> Tensor:
    """Half the mean squared error of the softmax, over voxels and classes.

    Source: Stollenga et al. 2015, section 4, who found it better than the log-likelihood.

    Args:
        logits: (N, K, ...).
        labels: int64 (N, 1, ...).
    """
    counted = labels != IGNORED
    target = torch.zeros_like(logits).scatter_(1, labels.where(counted, 0), 1.0)
    squares = (logits.softmax(dim=1) - target).square()
    if _all_known(counted):
        return 0.5 * squares.mean()
    return 0.5 * (squares * counted).sum() / (counted.sum().clamp(min=1) * logits.shape[1])


def _all_known(counted: Tensor) -> bool:
    """Whether all voxels are known to count. Another device than a CPU is not asked, as the host
    would wait for the answer: the general formula gives the same up to rounding."""
    return counted.device.type == "cpu" and bool(counted.all())


class DiceCrossEntropy:
    """Soft Dice of the foreground + cross-entropy, by MONAI; of the voxels that count."""

    @cached_property
    def _of_all(self) -> Loss:
        # All of MONAI, which takes seconds, and which a prediction needs not.
        from monai.losses import DiceCELoss

        return DiceCELoss(include_background=False, to_onehot_y=True, softmax=True)

    @cached_property
    def _dice(self) -> Loss:
        from monai.losses import DiceLoss

        return DiceLoss(include_background=False)

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        counted = labels != IGNORED
        if _all_known(counted):
            return self._of_all(logits, labels)
        target = torch.zeros_like(logits).scatter_(1, labels.where(counted, 0), 1.0)
        dice: Tensor = self._dice(logits.softmax(dim=1) * counted, target * counted)
        if logits.device.type == "cpu":
            entropy = F.cross_entropy(logits, labels[:, 0], ignore_index=IGNORED, reduction="sum")
        else:  # by sums, which a GPU repeats bit for bit; its own kernel does not
            entropy = -(logits.log_softmax(dim=1) * target * counted).sum()
        return dice + entropy / counted.sum().clamp(min=1)


def loss(name: str) -> Loss:
    """A loss: ``dice-ce`` (soft Dice of the foreground + cross-entropy) or ``softmax-squared``.

    Voxels labelled `IGNORED` do not count.

    Raises:
        UsageError: there is no such loss.
    """
    one_of("loss", name, LOSSES)
    return softmax_squared if name == "softmax-squared" else DiceCrossEntropy()


def supervised(function: Loss, outputs: Sequence[Tensor], labels: Tensor) -> Tensor:
    """The loss of a net's outputs, each counting half as much as the one before: deep supervision.

    Args:
        function: The loss.
        outputs: Logits (N, K, ...), the result first; others may be of lower resolution, where
            labels are those of the nearest voxel.
        labels: int64 (N, 1, ...).
    """
    if len(outputs) == 1:
        return function(outputs[0], labels)
    weights = [0.5**depth for depth in range(len(outputs))]
    total = labels.new_zeros((), dtype=outputs[0].dtype)
    for weight, logits in zip(weights, outputs, strict=True):
        target = labels
        if logits.shape[2:] != labels.shape[2:]:
            target = F.interpolate(labels.float(), logits.shape[2:], mode="nearest-exact").long()
        total = total + weight / sum(weights) * function(logits, target)
    return total
