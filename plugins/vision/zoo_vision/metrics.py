"""What is measured of a classifier: sums over an epoch, and by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.classification import (
    binary_auroc,
    binary_average_precision,
    multiclass_calibration_error,
)
from torchmetrics.utilities import dim_zero_cat

CALIBRATION_BINS = 15


class EpochMetrics(Metric):
    """Sums over an epoch: loss, correct predictions, samples. Added up over processes.

    ``MulticlassAccuracy`` and ``MeanMetric`` give the same numbers, but an update of theirs takes
    several times as long, which small nets feel in every step, and they take no ``shape``.

    Args:
        shape: Of the losses and counts of correct predictions: () or (columns,).
    """

    full_state_update = False
    loss: Tensor
    correct: Tensor
    count: Tensor

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.add_state("loss", torch.zeros(shape), dist_reduce_fx="sum")
        self.add_state("correct", torch.zeros(shape, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, mean_loss: Tensor, correct: Tensor, count: int) -> None:
        self.loss += mean_loss * count
        self.correct += correct
        self.count += count

    def compute(self) -> dict[str, Tensor]:
        count = self.count.clamp(min=1)
        accuracy = self.correct / count
        return {"loss": self.loss / count, "accuracy": accuracy, "error": 1 - accuracy}


class ClassCounts(Metric):
    """True positives, predictions and truths of each class. Added up over processes.

    Args:
        classes: How many.
        several: Whether an image may have several.
    """

    full_state_update = False
    hits: Tensor
    predicted: Tensor
    truths: Tensor
    count: Tensor

    def __init__(self, classes: int, several: bool = False) -> None:
        super().__init__()
        self.classes, self.several = classes, several
        for name in ("hits", "predicted", "truths"):
            self.add_state(name, torch.zeros(classes, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add a batch: logits (N, classes) and its labels."""
        self.count += len(labels)
        if self.several:
            found, held = logits > 0, labels > 0
            self.hits += (found & held).sum(dim=0)
            self.predicted += found.sum(dim=0)
            self.truths += held.sum(dim=0)
            return
        best = logits.argmax(dim=1)
        self.hits += torch.bincount(labels[best == labels], minlength=self.classes)
        self.predicted += torch.bincount(best, minlength=self.classes)
        self.truths += torch.bincount(labels, minlength=self.classes)

    def compute(self) -> dict[str, Tensor]:
        """``precision``, ``recall`` and ``f1`` of each class, NaN of those that were not seen."""
        hits, predicted, truths = self.hits.float(), self.predicted, self.truths
        f1 = 2 * hits / (predicted + truths)
        return {"precision": hits / predicted, "recall": hits / truths, "f1": f1}

    def summary(self) -> dict[str, Tensor]:
        """``balanced_accuracy`` and ``f1``, means over the classes that were seen; the balanced
        accuracy of several labels is the mean over those of each label."""
        each = self.compute()
        balanced = each["recall"]
        if self.several:
            others = self.count - self.truths
            balanced = (balanced + 1 - (self.predicted - self.hits) / others) / 2
        # A class that is predicted and never true has an F1 of 0, as in scikit-learn.
        return {"balanced_accuracy": balanced.nanmean(), "f1": each["f1"].nanmean()}


class Outputs(Metric):
    """Probabilities and labels of a whole test, for what sums do not give.

    Args:
        several: Whether an image may have several labels.
    """

    full_state_update = False
    probabilities: list[Tensor]
    labels: list[Tensor]

    def __init__(self, several: bool = False) -> None:
        super().__init__()
        self.several = several
        self.add_state("probabilities", [], dist_reduce_fx="cat")
        self.add_state("labels", [], dist_reduce_fx="cat")

    def update(self, probabilities: Tensor, labels: Tensor) -> None:
        """Add a batch: (N, classes) and its labels."""
        self.probabilities.append(probabilities.detach().float())
        self.labels.append(labels)

    def compute(self) -> dict[str, Tensor]:
        """``auroc`` and ``average_precision``, each class against the rest, means over the classes
        of which there are images and others; and of one label an image ``calibration_error``, the
        mean difference of confidence and accuracy over 15 equal bins."""
        probs, labels = dim_zero_cat(self.probabilities), dim_zero_cat(self.labels)
        classes = probs.shape[1]
        held = labels > 0 if self.several else labels[:, None] == torch.arange(classes).to(labels)
        seen = held.any(dim=0) & ~held.all(dim=0)
        found: dict[str, Tensor] = {}
        if seen.any():
            columns = seen.nonzero()[:, 0].tolist()
            pairs = [(probs[:, each], held[:, each].long()) for each in columns]
            found["auroc"] = torch.stack(
                [binary_auroc(*pair, validate_args=False) for pair in pairs]
            ).mean()
            found["average_precision"] = torch.stack(
                [binary_average_precision(*pair, validate_args=False) for pair in pairs]
            ).mean()
        if not self.several:
            found["calibration_error"] = multiclass_calibration_error(
                probs, labels, classes, n_bins=CALIBRATION_BINS, validate_args=False
            )
        return found


def by_class(values: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """Metrics of the classes as ``recall/cat``, without those of classes that were not seen."""
    return {
        f"{metric}/{name}": value
        for metric, each in values.items()
        for name, value in zip(names, each, strict=True)
        if not value.isnan()
    }
