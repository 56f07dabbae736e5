"""Test a model by probabilities that others gave: an ensemble's, or those of several folds."""

from __future__ import annotations

import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor

from zoo.errors import UsageError
from zoo.plugin.protocols import ProbabilityTester
from zoo.training.csv_logger import metrics_of
from zoo.training.seeding import SeededTest
from zoo.training.trainer import evaluation_trainer

Giver = Callable[[Any, int], Tensor]
"""From a batch on the model's device, and its index, to its probabilities (N, classes, ...)."""


def require_tester(model: object, name: object) -> ProbabilityTester:
    """The model, if it can be tested by given probabilities.

    Raises:
        UsageError: it cannot.
    """
    if isinstance(model, ProbabilityTester):
        return model
    raise UsageError(
        f"the model of {name}, a {type(model).__name__}, cannot be tested by averaged "
        "probabilities (measure_probabilities): name one reference"
    )


def measure_by(
    model: LightningModule,
    data: LightningDataModule | Batches,
    give: Giver,
    settings: Mapping[str, Any],
    seed: int,
    rows: list[dict[str, Any]] | None = None,
) -> dict[str, float]:
    """Run Lightning's test of a model, measuring probabilities that are given.

    Args:
        model: A ``ProbabilityTester``; what it logs is returned.
        data: Its test part is gone through; or the batches themselves.
        give: Gives the probabilities of a batch.
        settings: Arguments of the Trainer.
        seed: Of everything random.
        rows: What the model says of each sample is added to it.

    Returns:
        The metrics, by their logged names.
    """
    tester = require_tester(model, type(model).__name__)

    def step(batch: Any, batch_idx: int) -> None:
        probabilities = give(batch, batch_idx)
        tester.measure_probabilities(batch, probabilities)
        if rows is not None:
            rows.extend(map(dict, tester.describe_batch(batch, probabilities)))

    with tempfile.TemporaryDirectory() as scratch, _stepping(model, step):
        trainer = evaluation_trainer(dict(settings), Path(scratch), [SeededTest(seed)])
        if isinstance(data, Batches):
            trainer.test(model, dataloaders=data, verbose=False)
        else:
            trainer.test(model, datamodule=data, verbose=False)
    return metrics_of(trainer)


class Batches:
    """The batches of several loaders, one after another, each made when the one before is through.

    Args:
        makers: Make them.
    """

    def __init__(self, makers: Sequence[Callable[[], Iterable[Any]]]) -> None:
        self._makers = makers
        self._starts: list[int] = []

    def __iter__(self) -> Iterator[Any]:
        self._starts = []
        count = 0
        for make in self._makers:
            self._starts.append(count)
            for batch in make():
                count += 1
                yield batch

    def loader_of(self, batch_idx: int) -> int:
        """The number of the loader that a batch came from, which was given already."""
        return bisect_right(self._starts, batch_idx) - 1


def on_device(model: LightningModule, batch: Any) -> Any:
    """A batch as Lightning would give it to a step of the model."""
    batch = model.on_before_batch_transfer(batch, 0)
    batch = model.transfer_batch_to_device(batch, model.device, 0)
    return model.on_after_batch_transfer(batch, 0)


@contextmanager
def _stepping(model: LightningModule, step: Callable[[Any, int], None]) -> Iterator[None]:
    """While it lasts, the instance has another ``test_step`` than its class."""
    vars(model)["test_step"] = step
    try:
        yield
    finally:
        del vars(model)["test_step"]
