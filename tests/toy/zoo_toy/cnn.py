"""A convolutional net on images, which predicts on files too."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.classification import MulticlassAccuracy

from zoo.plugin import UsageError, optim, plots


class PatternNet(nn.Module):
    """Convolution, pooling, batch normalization and a linear head.

    Args:
        in_channels: Channels of an image.
        num_classes: Number of classes.
        channels: Maps of the convolution.
        dropout: Probability of dropping a feature.
        batch_norm: Normalize over the batch.
    """

    def __init__(
        self, in_channels: int, num_classes: int, channels: int, dropout: float, batch_norm: bool
    ) -> None:
        super().__init__()
        # A parameter of a module with children, as the position embeddings of a transformer are.
        self.position = nn.Parameter(torch.zeros(channels, 4, 4))
        self.convolution = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels) if batch_norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(16 * channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = F.max_pool2d(self.norm(self.convolution(images)).relu(), 2) + self.position
        scores: Tensor = self.head(self.dropout(maps.flatten(1)))
        return scores


class ToyCNN(LightningModule):
    """A classifier of images of 8x8 pixels, which measures by torchmetrics objects.

    Args:
        num_classes: Number of classes.
        label_names: Their names.
        in_channels: Channels of an image.
        mean: Mean of each channel, of pixels from 0 to 1.
        std: Standard deviation of each channel.
        channels: Maps of the convolution.
        dropout: Probability of dropping a feature.
        batch_norm: Normalize over the batch.
        lr: Learning rate of AdamW.
        lr_backbone: Learning rate of everything but the head; ``lr`` if None.
    """

    input_suffixes = (".npy",)
    weights_license = "free to play with"

    def __init__(
        self,
        num_classes: int,
        label_names: list[str] | None = None,
        in_channels: int = 1,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        channels: int = 4,
        dropout: float = 0.2,
        batch_norm: bool = True,
        lr: float = 0.01,
        lr_backbone: float | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.label_names = label_names or [str(number) for number in range(num_classes)]
        self.in_channels, self.lr, self.lr_backbone = in_channels, lr, lr_backbone
        self.mean, self.std = mean or [0.0] * in_channels, std or [1.0] * in_channels
        self.offset: Tensor
        self.scale: Tensor
        for name, values in (("offset", self.mean), ("scale", self.std)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        self.network = PatternNet(in_channels, num_classes, channels, dropout, batch_norm)
        self.accuracies = nn.ModuleDict(
            {
                f"{stage}/accuracy": MulticlassAccuracy(num_classes, average="micro")
                for stage in ("train", "val", "test")
            }
        )

    @property
    def head(self) -> tuple[str, ...]:
        return ("network.head",)

    @property
    def example_input(self) -> Tensor:
        return torch.zeros(2, self.in_channels, 8, 8, dtype=torch.uint8)

    @property
    def preprocessing(self) -> dict[str, Any]:
        return {"channels": self.in_channels, "mean": self.mean, "std": self.std}

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.network((images.float() / 255 - self.offset) / self.scale)
        return scores

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self._step(batch, "train")

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._step(batch, "val")

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._step(batch, "test")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return optim.optimizer(
            "adamw",
            self.named_parameters(),
            self.lr,
            head=self.head,
            lr_backbone=self.lr_backbone,
            fused=optim.may_fuse(self),
        )

    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        images, labels = batch
        return {"images": plots.contact_sheet(list(images[:, 0].cpu().numpy()), names(labels))}

    def read_file(self, path: Path) -> Tensor:
        try:
            return torch.from_numpy(np.load(path, allow_pickle=False))
        except (ValueError, EOFError) as error:
            raise UsageError(f"{path} is not an array of NumPy: {error}") from error

    def predict_step(self, batch: Any, batch_idx: int = 0) -> Tensor:
        shares: Tensor = self(batch if isinstance(batch, Tensor) else batch[0]).softmax(1)
        return shares

    def to_probabilities(self, outputs: Tensor) -> Tensor:
        return outputs.softmax(1)

    def probabilities_of(self, output: Tensor) -> Tensor:
        return output

    def with_probabilities(self, output: Tensor, probabilities: Tensor) -> Tensor:
        return probabilities

    def measure_probabilities(self, batch: Any, probabilities: Tensor) -> None:
        self._measure(probabilities.log(), batch[1], "test")

    def describe_batch(self, batch: Any, probabilities: Tensor) -> list[dict[str, Any]]:
        pairs = zip(batch[1].tolist(), probabilities, strict=True)
        return [
            {"truth": self.label_names[label], **self.describe_prediction(row)}
            for label, row in pairs
        ]

    def describe_prediction(self, output: Tensor) -> dict[str, Any]:
        shares = dict(zip(self.label_names, output.tolist(), strict=True))
        label = max(shares, key=lambda name: shares[name])
        return {"label": label, "confidence": shares[label], "probabilities": shares}

    def draw_predictions(
        self, names: Sequence[str], samples: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> Figure:
        return plots.contact_sheet([sample[0].numpy() for sample in samples], names)

    def _step(self, batch: Any, stage: str) -> Tensor:
        images, labels = batch
        return self._measure(self(images), labels, stage)

    def _measure(self, scores: Tensor, labels: Tensor, stage: str) -> Tensor:
        loss = F.cross_entropy(scores, labels)
        accuracy: Any = self.accuracies[f"{stage}/accuracy"]
        accuracy.update(scores, labels)
        each: dict[str, Any] = {"on_step": False, "on_epoch": True, "batch_size": len(labels)}
        self.log(f"{stage}/loss", loss, sync_dist=True, **each)
        self.log(f"{stage}/accuracy", accuracy, **each)
        return loss


def names(labels: Tensor) -> list[str]:
    """A title for each label."""
    return [f"class {label}" for label in labels.tolist()]
