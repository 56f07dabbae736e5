"""Nets that sort points into clouds."""

import os
import signal
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F


class ToyNet(LightningModule):
    """A net of one hidden layer.

    Args:
        features: Numbers a point has. Filled in from the data.
        num_classes: Number of clouds. Filled in from the data, with a default that no test uses.
        hidden: Units of the hidden layer.
        learning_rate: Step size of SGD.
        dropout: Probability of dropping a hidden unit.
        activation: What follows the hidden layer.
        betas: Numbers that are only kept.
        batch_norm: Normalize the hidden layer over the batch.
        nan_at_step: Make the loss NaN in that training step; -1 for never.
        ctrl_c_at_step: Send this process SIGINT in that training step; -1 for never.
    """

    def __init__(
        self,
        features: int,
        num_classes: int = 77,
        hidden: int = 8,
        learning_rate: float = 0.1,
        dropout: float = 0.2,
        activation: Literal["relu", "tanh"] = "relu",
        betas: list[float] | None = None,
        batch_norm: bool = False,
        nan_at_step: int = -1,
        ctrl_c_at_step: int = -1,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.features = features
        self.learning_rate = learning_rate
        self.nan_at_step = nan_at_step
        self.ctrl_c_at_step = ctrl_c_at_step
        self.body = nn.Sequential(
            nn.Linear(features, hidden),
            *([nn.BatchNorm1d(hidden)] if batch_norm else []),
            nn.ReLU() if activation == "relu" else nn.Tanh(),
            nn.Dropout(dropout),
        )
        self.classifier = nn.Linear(hidden, num_classes)

    @property
    def head(self) -> tuple[str, ...]:
        return ("classifier",)

    @property
    def example_input(self) -> Tensor:
        return torch.zeros(2, self.features)

    def forward(self, points: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.body(points))
        return scores

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        if self.global_step == self.ctrl_c_at_step:
            os.kill(os.getpid(), signal.SIGINT)
        loss = self._step(batch, "train")
        return loss * torch.nan if self.global_step == self.nan_at_step else loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._step(batch, "val")

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._step(batch, "test")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), self.learning_rate, momentum=0.9)

    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        figure = Figure()
        points, labels = batch
        figure.add_subplot().scatter(points[:, 0], points[:, 1], c=labels)
        return {"clouds": figure}

    def _step(self, batch: Any, stage: str) -> Tensor:
        points, labels = batch
        scores = self(points)
        loss = F.cross_entropy(scores, labels)
        right = (scores.argmax(1) == labels).float().mean()
        metrics = {f"{stage}/loss": loss, f"{stage}/accuracy": right}
        self.log_dict(metrics, on_step=False, on_epoch=True, batch_size=len(labels))
        return loss


class ToyFamily(ToyNet):
    """A net of the family.

    Args:
        variant: Its name in the family.
        features: Numbers a point has.
        num_classes: Number of clouds.
    """

    def __init__(self, variant: str, features: int = 2, num_classes: int = 77) -> None:
        super().__init__(features, num_classes)
        self.save_hyperparameters()


class ToyPlayer(ToyNet):
    """A net that plays. Its arguments are those of ``ToyNet``."""

    def play(
        self, folder: Path | None, *, episodes: int = 2, goal_return: float = 1.5
    ) -> list[dict[str, Any]]:
        """Play.

        Args:
            folder: Where to write.
            episodes: How many episodes.
            goal_return: What to reach.
        """
        if folder is not None:
            (folder / "first.gif").write_bytes(b"GIF89a")
        return [{"return": goal_return * number} for number in range(episodes)]
