"""What a classifier says of images and of a user's own files: names and probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
import torch
from torch import Tensor

from zoo.plugin import UsageError, plots, rank_zero_print
from zoo_vision import views
from zoo_vision.augmentation import Deformation
from zoo_vision.batch_augmentation import Augmentation
from zoo_vision.data.decoding import read_noted
from zoo_vision.data.folder_ranges import CallRanges
from zoo_vision.data.opening import suffixes
from zoo_vision.labels import Labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOP = 5
"""Classes that a prediction names, the likeliest first."""


class PredictingModule(L.LightningModule):
    """A module whose logits of images become names and probabilities.

    Attributes:
        in_channels: 1 (gray) or 3 (RGB).
        image_size: Height and width to which files are brought.
        label_names: The classes' names.
        pixel_ranges: The values that are black and white in files of more than 8 bits.
        labels: How labels are meant.
        deformation: What the training showed of turned, scaled and moved images.
        augmentation: And of mirrored ones.
    """

    in_channels: int
    image_size: tuple[int, int]
    label_names: list[str]
    pixel_ranges: dict[str, list[float]]
    labels: Labels
    deformation: Deformation
    augmentation: Augmentation

    def _start_predicting(self) -> None:
        """Make what predictions need, once the ranges of values are known."""
        self._call_ranges = CallRanges(self.pixel_ranges, [])
        self._views: dict[str, Tensor] = {}

    # A user's own files

    @property
    def input_suffixes(self) -> tuple[str, ...]:
        """Image files, as Pillow reads them."""
        return tuple(sorted(suffixes()))

    def group_files(self, files: Sequence[Path]) -> list[Path]:
        """The files as they are, each an image. Those of more than 8 bits share one range of
        values where training saw none of their kind."""
        self._call_ranges = CallRanges(self.pixel_ranges, [str(path) for path in files])
        return list(files)

    def read_file(self, path: Path) -> Tensor:
        """One image as the data's loader would give it: uint8 (in_channels, height, width).

        Raises:
            UsageError: the file is missing, does not decode, or has values outside the range of
                the training images.
        """
        pixels, note = read_noted(path, self.in_channels, self.image_size, self._call_ranges)
        if note:
            rank_zero_print(note)
        return pixels

    def describe_prediction(self, probabilities: Tensor) -> dict[str, Any]:
        """The likeliest class and its probability, the likeliest five, and those of all. Of
        several labels those above 1/2, and the probability that the least sure of them, or of the
        others, is right.

        Args:
            probabilities: (num_classes,), one row of ``predict_step``.
        """
        label = self._named(probabilities > 0.5 if self.labels.several else probabilities.argmax())
        sure = torch.maximum(probabilities, 1 - probabilities).min()
        confidence = sure if self.labels.several else probabilities.max()
        top = probabilities.topk(min(TOP, len(probabilities)))
        named = zip(self.label_names, probabilities.tolist(), strict=True)
        return {
            "label": label,
            "confidence": round(float(confidence), 6),
            "top": [
                {"label": self.label_names[place], "probability": round(value, 6)}
                for value, place in zip(top.values.tolist(), top.indices.tolist(), strict=True)
            ],
            "probabilities": {name: round(prob, 6) for name, prob in named},
        }

    def draw_predictions(
        self, names: Sequence[str], samples: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> Figure:
        """The images as the model saw them, under what it took them for."""
        rows = [self.describe_prediction(output) for output in outputs]
        titles = [
            f"{name[-18:]}\n{row['label']} {row['confidence']:.0%}"
            for name, row in zip(names, rows, strict=True)
        ]
        images = [sample.permute(1, 2, 0).squeeze(-1).numpy() for sample in samples]
        return plots.contact_sheet(images, titles)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Probabilities (N, num_classes) of a batch of images, with or without labels."""
        images = batch if isinstance(batch, Tensor) else batch[0]
        return self.labels.probabilities(self.scores(images))

    # Averaged with others, and over views

    def to_probabilities(self, outputs: Tensor) -> Tensor:
        """Logits as probabilities."""
        return self.labels.probabilities(outputs)

    def probabilities_of(self, output: Tensor) -> Tensor:
        """One row of ``predict_step``, as it is."""
        return output

    def with_probabilities(self, output: Tensor, probabilities: Tensor) -> Tensor:
        """Other probabilities in its place."""
        return probabilities

    def describe_batch(self, batch: Any, probabilities: Tensor) -> list[dict[str, Any]]:
        """The true class of each image beside what ``describe_prediction`` says."""
        return [
            {"truth": self._named(label), **self.describe_prediction(row)}
            for label, row in zip(batch[1].cpu(), probabilities, strict=True)
        ]

    def _named(self, label: Tensor) -> str:
        """A label, or several, by name."""
        places = label.nonzero()[:, 0].tolist() if self.labels.several else [int(label)]
        return ", ".join(self.label_names[place] for place in places) or "none"

    def use_tta(self) -> list[str]:
        """Average over mirrored, turned, scaled and moved images too, if the training showed such.

        Raises:
            UsageError: it did not.
        """
        self._views = views.affine_views(self.deformation, self.augmentation)
        if not self._views:
            raise UsageError(
                "the model was trained without flips, rotation, scaling or translation, so nothing "
                "says that it knows changed views of an image: omit --tta"
            )
        return ["as it is", *self._views]

    def scores(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of predictions and tests, over views where ``use_tta`` says."""
        if not self._views:
            logits: Tensor = self(images)
            return logits
        return views.mean_logits(self, images, self._views, self.deformation.border, self.labels)
