"""A LightningModule and a LightningDataModule as other people write them, with much that ours do
not do, and the classes in front of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset
from torchmetrics.classification import MulticlassAccuracy

from zoo.plugin import AdaptedDataModule, AdaptedModule, Dataset, Model, hookimpl

ZOO_PLUGIN_API = 1


class Stream(IterableDataset[Any]):
    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Any]:
        points = torch.randn(self.length, 4, generator=torch.Generator().manual_seed(self.length))
        return iter([(point, int(point.sum() > 0)) for point in points])


class TheirData(LightningDataModule):
    classes = 2

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Stream(40), 8)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Stream(16), 8)

    test_dataloader = val_dataloader


class TheirNet(LightningModule):
    def __init__(self, hidden: int = 4, numpy: bool = False) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["numpy"])
        self.numpy, self.sums = numpy, [0.0]
        self.automatic_optimization = False
        self.example_input_array = torch.zeros(2, 4)
        self.net = nn.Sequential(
            nn.Linear(4, hidden), nn.ReLU(), nn.Dropout(0.2), nn.Linear(4, hidden), nn.LazyLinear(2)
        )
        self.net[3].weight = self.net[0].weight
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(2)) for _ in range(2)])
        self.register_buffer("bank", None)
        kinds = {"fit": MulticlassAccuracy(2), "test": MulticlassAccuracy(2)}
        self.metrics = nn.ModuleDict({k: nn.ModuleDict({"acc": v}) for k, v in kinds.items()})
        self(self.example_input_array)

    def forward(self, points: Tensor) -> Tensor:
        scores: Tensor = self.net(points)
        for scale in self.scales:
            scores = scores * scale
        return scores

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        points, labels = batch
        scores = self(points)
        loss = nn.functional.cross_entropy(scores, labels) / self.trainer.datamodule.classes
        self.manual_backward(loss)
        if batch_idx % 2:  # of two batches
            optimizer = self.optimizers()
            optimizer.step()
            optimizer.zero_grad()
        rows = [] if self.bank is None else [self.bank]
        self.bank = torch.cat([*rows, points[:1]])
        self.sums.append(float(points.sum()))
        metric = self.metrics["fit"]["acc"]
        metric(scores, labels)
        self.log("fit acc", metric, on_step=False, on_epoch=True)
        self.log("Verlust/größe/日本", loss, on_step=True, on_epoch=False, logger=False)
        return {"loss": loss, "scores": scores.detach()}

    def test_step(self, batch: Any, batch_idx: int) -> None:
        metric = self.metrics["test"]["acc"]
        metric(self(batch[0]), batch[1])
        self.log("acc", metric)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["sums"] = np.float64(1.0) if self.numpy else self.sums

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.sums = checkpoint["sums"]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


class Net(AdaptedModule, TheirNet):
    dynamic_tensors = ("bank",)


class Data(AdaptedDataModule, TheirData):
    pass


@hookimpl
def zoo_models() -> list[Model]:
    return [Model("foreign", "foreign_module:Net", "A net")]


@hookimpl
def zoo_datasets() -> list[Dataset]:
    return [Dataset("foreign-stream", "foreign_module:Data", "A stream", embedded=True)]
