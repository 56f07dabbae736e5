"""A small convolutional net that names what is in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.classification import MulticlassAccuracy

from zoo.plugin import UsageError, plots


class ConvNet(nn.Module):
    """Two convolutions with max-pooling and a linear layer; usable without Lightning.

    Takes float (N, in_channels, H, W) of any size, gives logits (N, num_classes).

    Args:
        in_channels: Channels of a picture.
        num_classes: Number of classes.
        channels: Maps of the first convolution; the second has twice as many.
    """

    def __init__(self, in_channels: int, num_classes: int, channels: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(channels, 2 * channels, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(2 * channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images))
        return logits


class ShapeClassifier(LightningModule):
    """The net, its loss and its metrics. The constructor arguments alone rebuild it.

    Args:
        num_classes: Number of classes. Filled in from the data.
        label_names: The classes' names. Filled in from the data.
        in_channels: Channels of a picture. Filled in from the data.
        channels: Maps of the first convolution.
        lr: Learning rate of Adam.
    """

    def __init__(
        self,
        num_classes: int,
        label_names: list[str],
        in_channels: int,
        channels: int = 16,
        lr: float = 0.01,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.label_names, self.in_channels, self.lr = label_names, in_channels, lr
        self.network = ConvNet(in_channels, num_classes, channels)
        self.val_accuracy = MulticlassAccuracy(num_classes, average="micro")
        self.test_accuracy = MulticlassAccuracy(num_classes, average="micro")

    @property
    def head(self) -> tuple[str, ...]:
        """The submodules that `zoo finetune` replaces for a new task."""
        return ("network.head",)

    @property
    def example_input(self) -> Tensor:
        return torch.zeros(2, self.in_channels, 16, 16, dtype=torch.uint8)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of uint8 pictures (N, in_channels, H, W).

        The preprocessing is here, so that a bundle carries it.
        """
        logits: Tensor = self.network(images.float() / 127.5 - 1)
        return logits

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        images, labels = batch
        loss = F.cross_entropy(self(images), labels)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(labels))
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._measure(batch, "val", self.val_accuracy)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._measure(batch, "test", self.test_accuracy)

    def _measure(self, batch: Any, stage: str, accuracy: MulticlassAccuracy) -> None:
        images, labels = batch
        logits = self(images)
        loss = F.cross_entropy(logits, labels)
        accuracy.update(logits, labels)
        self.log(f"{stage}/loss", loss, batch_size=len(labels), sync_dist=True)
        self.log(f"{stage}/accuracy", accuracy, batch_size=len(labels))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.lr)

    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """Pictures of a batch of test data, with what they are and what the net takes them for."""
        images, labels = (part[:32] for part in batch)
        found = self(images).argmax(1)
        titles = [
            f"{self.label_names[label]} -> {self.label_names[guess]}"
            for label, guess in zip(labels.tolist(), found.tolist(), strict=True)
        ]
        pictures = list(images[:, 0].cpu().numpy())
        sheet = plots.contact_sheet(pictures, titles, heading="what it is -> what it is taken for")
        return {"predictions": sheet}

    # What `zoo predict REF PICTURES` asks for.

    input_suffixes = (".png", ".jpg", ".jpeg")

    def read_file(self, path: Path) -> Tensor:
        """A picture as the data have it: uint8 (in_channels, H, W).

        Raises:
            UsageError: it cannot be read.
        """
        try:
            with Image.open(path) as picture:
                pixels = np.array(picture.convert("L" if self.in_channels == 1 else "RGB"))
        except OSError as error:
            raise UsageError(f"{path} cannot be read as a picture: {error}") from error
        return torch.from_numpy(pixels).reshape(*pixels.shape[:2], -1).permute(2, 0, 1)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Probabilities (N, num_classes)."""
        logits: Tensor = self(batch)
        return logits.softmax(1)

    def describe_prediction(self, output: Tensor) -> dict[str, Any]:
        """A row of the table: the likeliest class."""
        best = int(output.argmax())
        return {"label": self.label_names[best], "probability": round(float(output[best]), 4)}

    def draw_predictions(
        self, names: Sequence[str], samples: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> Figure:
        """A page of pictures with what the net takes them for."""
        found = [str(self.describe_prediction(output)["label"]) for output in outputs]
        titles = [f"{name}\n{label}" for name, label in zip(names, found, strict=True)]
        return plots.contact_sheet([sample[0].numpy() for sample in samples], titles)
