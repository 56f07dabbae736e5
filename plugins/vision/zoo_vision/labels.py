"""What a class is: one for each image, or any number of them.

Both ways have one face: losses, probabilities, what counts as correct.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class Labels(Protocol):
    """How labels are meant."""

    several: bool
    """Whether an image may have several classes, or none."""

    def balanced(self, shares: Sequence[float]) -> Tensor:
        """Weights of the classes, inverse to how often they are: float (classes,).

        Args:
            shares: Of the training images, which have each class.
        """
        ...

    def loss(
        self, logits: Tensor, labels: Tensor, weights: Tensor | None = None, smoothing: float = 0.0
    ) -> Tensor:
        """The mean loss.

        Args:
            logits: (N, classes).
            labels: As datasets give them, or float (N, classes) where they are mixed.
            weights: Of the classes.
            smoothing: Probability taken from the truth.
        """
        ...

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of each image, (N,)."""
        ...

    def probabilities(self, logits: Tensor) -> Tensor:
        """(N, classes)."""
        ...

    def logits(self, probabilities: Tensor) -> Tensor:
        """Logits of which these are the probabilities."""
        ...

    def correct(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Whether each image's classes are the predicted ones, boolean (N,)."""
        ...


class OneLabel:
    """Every image has one class: int64 (N,)."""

    several = False

    def balanced(self, shares: Sequence[float]) -> Tensor:
        return 1 / (len(shares) * torch.tensor(shares).clamp(min=1e-6))

    def loss(
        self, logits: Tensor, labels: Tensor, weights: Tensor | None = None, smoothing: float = 0.0
    ) -> Tensor:
        return F.cross_entropy(logits, labels, weight=weights, label_smoothing=smoothing)

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits.float(), labels, reduction="none")

    def probabilities(self, logits: Tensor) -> Tensor:
        return logits.softmax(dim=1)

    def logits(self, probabilities: Tensor) -> Tensor:
        return probabilities.float().clamp_min(1e-12).log()

    def correct(self, logits: Tensor, labels: Tensor) -> Tensor:
        return logits.argmax(dim=1) == labels


class SeveralLabels:
    """Every image has any number of classes: uint8 (N, classes)."""

    several = True

    def balanced(self, shares: Sequence[float]) -> Tensor:
        """Of an image that has the class, against one that does not."""
        held = torch.tensor(shares).clamp(1e-6, 1)
        return (1 - held).clamp(min=1e-6) / held

    def loss(
        self, logits: Tensor, labels: Tensor, weights: Tensor | None = None, smoothing: float = 0.0
    ) -> Tensor:
        wanted = labels.to(logits.dtype) * (1 - smoothing) + smoothing / 2
        return F.binary_cross_entropy_with_logits(logits, wanted, pos_weight=weights)

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        each = F.binary_cross_entropy_with_logits(logits.float(), labels.float(), reduction="none")
        return each.mean(dim=1)

    def probabilities(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def logits(self, probabilities: Tensor) -> Tensor:
        return probabilities.float().clamp(1e-6, 1 - 1e-6).logit()

    def correct(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ((logits > 0) == (labels > 0)).all(dim=1)
