"""A small U-Net that tells which pixel belongs to what."""

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
from torchmetrics.classification import MulticlassF1Score

from zoo.plugin import UsageError, plots


class SmallUNet(nn.Module):
    """A U-Net of two levels below the first (Ronneberger, Fischer, Brox: U-Net, MICCAI 2015),
    usable without Lightning.

    Takes float (N, in_channels, H, W), H and W multiples of 4, gives logits
    (N, num_classes, H, W).

    Args:
        in_channels: Channels of a picture.
        num_classes: Number of labels, the background included.
        channels: Maps of the first level; every further level has twice as many.
    """

    def __init__(self, in_channels: int, num_classes: int, channels: int) -> None:
        super().__init__()
        self.down1 = _convolutions(in_channels, channels)
        self.down2 = _convolutions(channels, 2 * channels)
        self.bottom = _convolutions(2 * channels, 4 * channels)
        self.up2 = _convolutions(6 * channels, 2 * channels)
        self.up1 = _convolutions(3 * channels, channels)
        self.head = nn.Conv2d(channels, num_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        fine = self.down1(images)
        middle = self.down2(F.max_pool2d(fine, 2))
        coarse = self.bottom(F.max_pool2d(middle, 2))
        middle = self.up2(torch.cat([middle, F.interpolate(coarse, scale_factor=2.0)], 1))
        fine = self.up1(torch.cat([fine, F.interpolate(middle, scale_factor=2.0)], 1))
        logits: Tensor = self.head(fine)
        return logits


def _convolutions(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1),
        nn.GroupNorm(4, after),  # as good for one picture as for many
        nn.ReLU(),
        nn.Conv2d(after, after, 3, padding=1),
        nn.ReLU(),
    )


class ShapeSegmenter(LightningModule):
    """The net, its loss and its metrics. The constructor arguments alone rebuild it.

    Args:
        num_classes: Number of labels, the background (label 0) included. Filled in from the data.
        label_names: The labels' names. Filled in from the data.
        in_channels: Channels of a picture. Filled in from the data.
        channels: Maps of the net's first level.
        lr: Learning rate of Adam.
    """

    def __init__(
        self,
        num_classes: int,
        label_names: list[str],
        in_channels: int,
        channels: int = 8,
        lr: float = 0.003,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.label_names, self.in_channels, self.lr = label_names, in_channels, lr
        self.network = SmallUNet(in_channels, num_classes, channels)
        # Over the pixels of a whole part, the F1 score of a label is its Dice coefficient.
        self.val_dice = MulticlassF1Score(num_classes, average="none")
        self.test_dice = MulticlassF1Score(num_classes, average="none")

    @property
    def head(self) -> tuple[str, ...]:
        """The submodules that `zoo finetune` replaces for a new task."""
        return ("network.head",)

    @property
    def example_input(self) -> Tensor:
        return torch.zeros(2, self.in_channels, 32, 32, dtype=torch.uint8)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes, H, W) of uint8 pictures (N, in_channels, H, W).

        The preprocessing is here, so that a bundle carries it.
        """
        logits: Tensor = self.network(images.float() / 127.5 - 1)
        return logits

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        images, masks = batch
        loss = F.cross_entropy(self(images), masks)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(masks))
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._measure(batch, "val", self.val_dice)

    def on_validation_epoch_end(self) -> None:
        self._log_dice("val", self.val_dice)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._measure(batch, "test", self.test_dice)

    def on_test_epoch_end(self) -> None:
        self._log_dice("test", self.test_dice)

    def _measure(self, batch: Any, stage: str, dice: MulticlassF1Score) -> None:
        images, masks = batch
        logits = self(images)
        loss = F.cross_entropy(logits, masks)
        dice.update(logits, masks)
        self.log(f"{stage}/loss", loss, batch_size=len(masks), sync_dist=True)

    def _log_dice(self, stage: str, dice: MulticlassF1Score) -> None:
        """The Dice of each label but the background, and their mean."""
        scores = dice.compute()[1:]  # summed over all processes
        dice.reset()
        self.log(f"{stage}/dice", scores.mean(), prog_bar=True)
        for name, score in zip(self.label_names[1:], scores, strict=True):
            self.log(f"{stage}/dice/{name}", score)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.lr)

    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """The first picture of a batch of test data under the true and under the found mask."""
        images, masks = batch
        found = self(images[:1]).argmax(1)
        labels = {"truth": masks[0].cpu().numpy(), "found": found[0].cpu().numpy()}
        return {"masks": plots.overlay(images[0, 0].cpu().numpy(), labels, self.label_names)}

    # What `zoo predict REF PICTURES` asks for.

    input_suffixes = (".png", ".jpg", ".jpeg")

    def read_file(self, path: Path) -> Tensor:
        """A picture as the data have it: uint8 (in_channels, H, W).

        Raises:
            UsageError: it cannot be read, or its sides are not multiples of 4.
        """
        try:
            with Image.open(path) as picture:
                pixels = np.array(picture.convert("L" if self.in_channels == 1 else "RGB"))
        except OSError as error:
            raise UsageError(f"{path} cannot be read as a picture: {error}") from error
        height, width = pixels.shape[:2]
        if height % 4 or width % 4:
            raise UsageError(
                f"{path} is {width} x {height} pixels, which are not multiples of 4: crop it"
            )
        return torch.from_numpy(pixels).reshape(height, width, -1).permute(2, 0, 1)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The likeliest label of every pixel, (N, H, W)."""
        logits: Tensor = self(batch)
        return logits.argmax(1)

    def describe_prediction(self, output: Tensor) -> dict[str, Any]:
        """A row of the table: the part of the picture that each label covers."""
        return {
            name: round(float((output == label).float().mean()), 4)
            for label, name in enumerate(self.label_names)
        }

    def draw_predictions(
        self, names: Sequence[str], samples: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> Figure:
        """A page of pictures, each beside its mask."""
        bright = 255 / max(len(self.label_names) - 1, 1)
        pairs = [
            np.concatenate([sample[0].numpy(), (bright * mask).byte().numpy()], axis=1)
            for sample, mask in zip(samples, outputs, strict=True)
        ]
        return plots.contact_sheet(pairs, names, columns=4)
