"""What is measured of a classifier, and drawn of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix

from zoo.plugin import UsageError, plots
from zoo_vision.class_bars import class_bars
from zoo_vision.data.pixel_range import STATED
from zoo_vision.metrics import ClassCounts, EpochMetrics, Outputs, by_class
from zoo_vision.predicting import PredictingModule

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORST_KEPT = 32

_Mistake = tuple[float, str, Tensor]


class MeasuredModule(PredictingModule):
    """A module that is measured: by sums on the device, by class, by its probabilities.

    Attributes:
        class_metrics: Log precision, recall and F1 of each class too.
    """

    class_metrics: bool
    monitor = "val/accuracy"
    monitor_mode = "max"
    plot_captions = {  # noqa: RUF012  # read, never changed
        "mistakes": "The test images that were taken for another class with most certainty: true "
        "-> predicted, confidence.",
        "confusion": "The test images by true class (rows) and predicted class (columns).",
    }

    def _start_measuring(self, num_classes: int) -> None:
        """Make what measures, once it is known how labels are meant."""
        # Checkpoints within an epoch know the metrics by these names.
        self.train_tally, self.val_tally = EpochMetrics(), EpochMetrics()
        self.test_tally = EpochMetrics()
        self.val_classes = ClassCounts(num_classes, self.labels.several)
        self.test_classes = ClassCounts(num_classes, self.labels.several)
        self.test_outputs = Outputs(self.labels.several)
        self.confusion = MulticlassConfusionMatrix(num_classes, validate_args=False)
        self._drawn: dict[str, Figure] | None = None
        self._worst: list[_Mistake] = []

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        images, labels = batch
        logits = self(images)
        self._update(self.val_tally, self.labels.loss(logits, labels), logits, labels)
        self.val_classes.update(logits, labels)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        images, labels = batch
        self.measure(images, self.scores(images), labels)

    def measure(self, images: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch of the test to its metrics."""
        self._update(self.test_tally, self.labels.loss(logits, labels), logits, labels)
        self._count(logits, labels)
        self.test_outputs.update(self.labels.probabilities(logits), labels)
        self._keep_worst(images, logits, labels)

    def measure_probabilities(self, batch: Any, probabilities: Tensor) -> None:
        """Add a batch of the test to its metrics, by probabilities (N, num_classes) of others."""
        images, labels = batch
        self.measure(images, self.labels.logits(probabilities), labels)

    # Measuring: sums on the device, read once an epoch, so that no step waits for a number

    def _log_metrics(self, stage: str, metrics: EpochMetrics, names: Sequence[str]) -> None:
        values = metrics.compute()
        metrics.reset()
        for name in names:
            # They are the same in every process; the mean of equals says so to Lightning.
            self.log(f"{stage}/{name}", values[name], prog_bar=name != "accuracy", sync_dist=True)

    def _update(self, metrics: EpochMetrics, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        correct = self.labels.correct(logits.detach(), labels).sum()
        metrics.update(loss.detach(), correct, len(labels))

    def _log_classes(self, stage: str, counts: ClassCounts) -> None:
        values = counts.summary()
        if stage == "test" and self.class_metrics:
            values |= by_class(counts.compute(), self.label_names)
        for name, value in values.items():
            self.log(f"{stage}/{name}", value, sync_dist=True)

    def on_train_epoch_end(self) -> None:
        self._log_metrics("train", self.train_tally, ("loss", "accuracy"))

    def on_validation_epoch_end(self) -> None:
        self._log_metrics("val", self.val_tally, ("loss", "accuracy", "error"))
        self._log_classes("val", self.val_classes)
        self.val_classes.reset()

    def on_test_start(self) -> None:
        """Refuse data whose values are read by another range than the training data's."""
        data = getattr(self.trainer, "datamodule", None)
        others = getattr(data, "facts", {}).get("pixel_ranges") or {}
        for kind in {*self.pixel_ranges, *others}:
            mine, other = (
                ranges.get(STATED) or ranges.get(kind) for ranges in (self.pixel_ranges, others)
            )
            if mine and other and list(mine) != list(other):
                raise UsageError(
                    f"the model was trained on images in which {mine[0]:g} is black and "
                    f"{mine[1]:g} white, and in these it is {other[0]:g} and {other[1]:g}: give "
                    f"--data.range '[{mine[0]:g}, {mine[1]:g}]'"
                )

    def on_test_epoch_start(self) -> None:
        self._worst = []

    def on_test_epoch_end(self) -> None:
        self._log_metrics("test", self.test_tally, ("loss", "accuracy", "error"))
        self._log_classes("test", self.test_classes)
        for name, value in self.test_outputs.compute().items():
            self.log(f"test/{name}", value, sync_dist=True)
        self.test_outputs.reset()
        self._drawn = self._draw_counts()

    # Plots

    def _keep_worst(self, images: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Keep the wrong predictions of largest loss, ``WORST_KEPT`` of them at most."""
        wrong = (~self.labels.correct(logits, labels)).nonzero()[:, 0]
        losses = self.labels.losses(logits[wrong], labels[wrong])
        order = losses.argsort(descending=True)[:WORST_KEPT]
        chosen = wrong[order]
        rows = self.labels.probabilities(logits[chosen].float()).cpu()
        for loss, index, row in zip(losses[order].tolist(), chosen.tolist(), rows, strict=True):
            said = self.describe_prediction(row)
            title = f"{self._named(labels[index])} -> {said['label']}\n{said['confidence']:.0%}"
            self._worst.append((loss, title, images[index].cpu()))
        self._worst = sorted(self._worst, key=lambda mistake: -mistake[0])[:WORST_KEPT]

    @torch.no_grad()
    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """The confusion matrix, or of several labels precision and recall of each, and the worst
        mistakes; of the test or else of this batch.

        Args:
            batch: Images and labels, for a model that was not tested before.
        """
        drawn, worst = self._drawn, self._worst
        if drawn is None:
            images, labels = batch
            self._worst = []
            logits = self(images)
            self._count(logits, labels)
            drawn = self._draw_counts()
            self._keep_worst(images, logits, labels)
            worst, self._worst = self._worst, []
        if worst:
            pictures = [image.permute(1, 2, 0).squeeze(-1).numpy() for *_, image in worst]
            drawn["mistakes"] = plots.contact_sheet(
                pictures,
                [title for _, title, _ in worst],
                heading="worst mistakes: true -> predicted, confidence",
            )
        return drawn

    def _count(self, logits: Tensor, labels: Tensor) -> None:
        self.test_classes.update(logits, labels)
        if not self.labels.several:
            self.confusion.update(logits, labels)

    def _draw_counts(self) -> dict[str, Figure]:
        """What was counted, which starts again."""
        if self.labels.several:
            drawn = {"classes": class_bars(self.test_classes.compute(), self.label_names)}
        else:
            counts = self.confusion.compute().cpu().numpy()
            drawn = {"confusion": plots.confusion_matrix(counts, self.label_names)}
        self.confusion.reset()
        self.test_classes.reset()
        return drawn
