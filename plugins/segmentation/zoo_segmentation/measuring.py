"""What is measured of a segmenter, and drawn of it."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torchmetrics import MeanMetric

from zoo.plugin import rank_zero_print
from zoo_segmentation import plots
from zoo_segmentation.cases import Case, TestedCases
from zoo_segmentation.data.volume import IGNORED
from zoo_segmentation.em_metrics import MembraneScores
from zoo_segmentation.largest_component import Gains, of_batch
from zoo_segmentation.metrics import NAMES, Scores, describe_left_out, measure
from zoo_segmentation.slices import cut_slices, draw_slices
from zoo_segmentation.windows import WindowedModule

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEMBRANE = "membrane"
"""A class of this name is measured as the ISBI 2012 challenge measures it."""


class MeasuredModule(WindowedModule):
    """A module whose whole volumes are measured: overlap, distances, the membranes' own scores.

    Attributes:
        spatial_dims: 3 for volumes, 2 for images.
        label_names: The classes' names, background first.
        distances: Measure the Hausdorff distance in tests.
        largest: Classes of which the largest connected component alone is predicted.
    """

    spatial_dims: int
    label_names: list[str]
    distances: bool
    largest: Sequence[int]
    monitor = "val/dice"
    monitor_mode = "max"
    plot_captions: ClassVar[dict[str, str]] = {
        "worst_case": "The volume of the test with the lowest Dice: the image, the truth and the "
        "prediction, where most is labelled. L and R are the patient's left and right.",
        "median_case": "The volume in the middle, by Dice.",
        "membranes": "A slice, its membrane probability, and the truth.",
        "slices": "A volume of the test: the image, the truth and the prediction.",
    }

    def _start_measuring(self) -> None:
        """Make what measures, once the number of classes is known."""
        self.val_loss = MeanMetric()
        self.val_scores, self.test_scores = Scores(self.num_classes), Scores(self.num_classes)
        self.membrane_scores = MembraneScores()
        self._cases: TestedCases | None = None

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        probs = self.probabilities(batch["image"])
        self._measure(batch, probs, self.val_scores, distances=False)
        label = batch["label"]
        counted = label != IGNORED
        likelihood = probs.gather(1, label.where(counted, 0)).clamp(min=1e-12)
        self.val_loss.update(-likelihood.log()[counted].mean())

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.measure_probabilities(batch, self.probabilities(batch["image"]))

    def measure_probabilities(self, batch: Any, probabilities: Tensor) -> None:
        """Add a batch of the test to its metrics, by its probabilities (N, num_classes, *spatial),
        whoever gave them."""
        self._measure(batch, probabilities, self.test_scores, self.distances, self._cases)
        if MEMBRANE in self.label_names:
            self._measure_membranes(probabilities, batch["label"])

    def describe_batch(self, batch: Any, probabilities: Tensor) -> list[dict[str, Any]]:
        """Dice of each volume: the mean of the classes but background, and each of them."""
        predicted, label = self.to_labels(probabilities), batch["label"]
        rows = []
        for index in range(len(label)):
            one = slice(index, index + 1)
            dice = measure(predicted[one], label[one], self.num_classes, distances=False)[0]
            named = zip(self.label_names[1:], dice.tolist(), strict=True)
            each = {name: None if isnan(value) else round(value, 6) for name, value in named}
            known = [value for value in each.values() if value is not None]
            mean = round(sum(known) / len(known), 6) if known else None
            rows.append({"dice": mean, **{f"dice/{name}": value for name, value in each.items()}})
        return rows

    def to_labels(self, probabilities: Tensor) -> Tensor:
        """The classes of probabilities (N, num_classes, *spatial): int64 (N, 1, *spatial)."""
        return of_batch(probabilities.argmax(dim=1, keepdim=True), self.largest)

    def _measure_membranes(self, probs: Tensor, label: Tensor) -> None:
        """Metrics of the ISBI 2012 challenge, of stacks (D, H, W) or single slices."""
        number = self.label_names.index(MEMBRANE)
        for prob, target in zip(probs[:, number].cpu(), label[:, 0].cpu(), strict=True):
            stack = (-1, *target.shape[-2:])
            self.membrane_scores.update(
                prob.reshape(stack).numpy(), (target.reshape(stack) == number).numpy()
            )

    def _measure(
        self,
        batch: Any,
        probs: Tensor,
        scores: Scores,
        distances: bool,
        cases: TestedCases | None = None,
    ) -> None:
        label = batch["label"]
        predicted = self.to_labels(probs)
        spacing = batch.get("spacing")
        for index in range(len(label)):
            pred, target = predicted[index : index + 1], label[index : index + 1]
            edges = None if spacing is None else spacing[index].tolist()[-self.spatial_dims :]
            result = measure(pred, target, self.num_classes, edges, distances)
            counted = target != IGNORED
            wrong = (pred != target) & counted
            scores.update(result, wrong.sum(), int(counted.sum()))
            if cases is not None:
                cases.add(self._case(batch, predicted, index, float(result[0].nanmean())))

    def _case(self, batch: Any, predicted: Tensor, index: int, dice: float) -> Case:
        """A volume of a batch, as it is drawn."""
        spacing = batch.get("spacing")
        edges = [1.0] * self.spatial_dims
        if spacing is not None:
            edges = spacing[index].tolist()[-self.spatial_dims :]
        maps = {"label": batch["label"], "prediction": predicted}
        cuts = cut_slices(
            batch["image"][index, 0].float().cpu().numpy(),
            {title: _shown(volumes[index, 0]) for title, volumes in maps.items()},
            edges,
        )
        names, oriented = batch.get("name") or [""], batch.get("oriented") or [False]
        return Case(str(names[index]), dice, cuts, bool(oriented[index]))

    # Measuring

    def on_validation_epoch_end(self) -> None:
        values = self.val_scores.read()
        self.log("val/loss", self.val_loss.compute(), sync_dist=True)
        self.val_loss.reset()
        # A class that no volume has says nothing for or against the model.
        self.log("val/dice", values["dice"].nanmean(), prog_bar=True, sync_dist=True)
        self.log("val/error", values["error"], sync_dist=True)

    def on_test_start(self) -> None:
        """Choose, of the trained weights, the classes whose largest component alone is kept."""
        if self.hparams["keep_largest"] != "auto":
            return
        gains = Gains(self.num_classes)
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        for batch in data.val_dataloader():
            ready = self.transfer_batch_to_device(batch, self.device, 0)
            predicted = self.probabilities(ready["image"]).argmax(dim=1, keepdim=True)
            gains.add(predicted, ready["label"])
        self.largest = gains.chosen(self.all_gather)
        names = [self.label_names[number] for number in self.largest]
        self.hparams["keep_largest"] = names
        rank_zero_print(
            "by the validation part, the largest connected component alone is kept of: "
            f"{', '.join(names) or 'no class'}"
        )

    def on_test_epoch_start(self) -> None:
        self._cases = TestedCases()

    def on_test_epoch_end(self) -> None:
        values = self.test_scores.read()
        names = NAMES if self.distances else tuple(name for name in NAMES if name != "hd95")
        for name in names:
            self._log_metric(f"test/{name}", values[name].nanmean())
            for label, value in zip(self.label_names[1:], values[name], strict=True):
                self._log_metric(f"test/{name}/{label}", value)
        self.log("test/error", values["error"], sync_dist=True)
        if MEMBRANE in self.label_names:
            for name, value in self.membrane_scores.compute().items():
                self.log(f"test/{name}", value, sync_dist=True)
            self.membrane_scores.reset()
        left_out = {name: values["left_out"][NAMES.index(name)].tolist() for name in names}
        for sentence in describe_left_out(left_out, self.label_names[1:]):
            rank_zero_print(sentence)

    def _log_metric(self, name: str, value: Tensor) -> None:
        if value.isfinite():  # no metric rather than "nan" where no volume has the class
            self.log(name, value, prog_bar=name == "test/dice", sync_dist=True)

    # Plots

    @torch.no_grad()
    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """The worst and the median volume of the test; without one, the batch's first volume.

        Args:
            batch: As of the test loader.
        """
        drawn: dict[str, Figure] = {}
        if self._cases is not None:
            drawn |= self._cases.draw(self.label_names)
        if drawn and MEMBRANE not in self.label_names:
            return drawn
        image, label = batch["image"][:1], batch["label"][:1]
        probs = self.probabilities(image)
        if not drawn:
            case = self._case(batch, self.to_labels(probs), 0, 0.0)
            drawn["slices"] = draw_slices(case.cuts, self.label_names, case.name, case.sides)
        if MEMBRANE in self.label_names:
            name = str((batch.get("name") or [""])[0])
            drawn["membranes"] = self._draw_membranes(image, probs, label, name)
        return drawn

    def _draw_membranes(self, image: Tensor, probs: Tensor, label: Tensor, name: str) -> Figure:
        number = self.label_names.index(MEMBRANE)
        gray, prob, target = (
            _middle(stack) for stack in (image[0, 0], probs[0, number], label[0, 0] == number)
        )
        return plots.membrane_map(gray, prob, target, heading=name)


def _shown(label: Tensor) -> np.ndarray:
    """The classes, background where none counts."""
    return label.where(label != IGNORED, 0).cpu().numpy()


def _middle(stack: Tensor) -> np.ndarray:
    slices = stack.reshape(-1, *stack.shape[-2:])
    return slices[len(slices) // 2].float().cpu().numpy()
