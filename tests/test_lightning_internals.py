"""The fields and texts of other libraries that no promise of theirs covers: each one, by itself.

A release that moves one of them fails here, with a sentence that says which and where to mend it.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
import torchmetrics
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchmetrics import MeanMetric

from zoo.errors import UsageError
from zoo.inference import export
from zoo.io.weights import read_pickle
from zoo.plugin import _lightning_internals as internals

LOSSES = (1.0, 2.0, 6.0)
PRIVATE = "zoo/plugin/_lightning_internals.py"


@contextlib.contextmanager
def stays(field: str, library: Any = lightning, place: str = PRIVATE) -> Iterator[None]:
    """Whatever goes wrong inside is told as the move of a field."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, AssertionError) as error:
        pytest.fail(
            f"{library.__name__} {library.__version__} moved {field} ({error}); mend {place}"
        )


class Constant(LightningModule):
    """Logs the numbers of its data as losses."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.batches: float = 0
        self.trainer_at_setup: Trainer | None = None

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss = batch.mean() + self.weight
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=1)
        self.log("train/step", loss, on_step=True, on_epoch=False, batch_size=1)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        with stays("trainer.fit_loop.setup_data"):
            self.batches = internals.training_batches(self.trainer)
        self.trainer_at_setup = internals.attached_trainer(self)
        return torch.optim.SGD(self.parameters(), lr=0.0)


class Watch(Callback):
    """Asks everything at the moments at which the zoo asks."""

    def __init__(self) -> None:
        self.inside: list[bool] = []
        self.outside: list[bool] = []
        self.steps = 0
        self.means: list[float] = []
        self.keys: set[str] = set()
        self.logged: dict[str, float] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        with stays("trainer.fit_loop.epoch_progress.current"):
            self.outside.append(internals.in_epoch(trainer))

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        with stays("trainer.fit_loop.epoch_progress.current"):
            self.inside.append(internals.in_epoch(trainer))
        with stays("trainer.fit_loop.epoch_loop._results"):
            means = internals.epoch_means(trainer)
            self.keys |= set(means)
            (mean,) = means.values()
            state = dict(mean.metric_state)
            assert not mean.meta.is_max_reduction
            assert not mean.meta.is_min_reduction
            self.means.append(float(state["value"] / state["cumulated_batch_size"]))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        with stays("trainer._logger_connector.metrics"):
            metrics = internals.metrics_about_to_be_logged(trainer)
        with stays("trainer.fit_loop.epoch_loop._batches_that_stepped"):
            self.steps = internals.batches_that_stepped(trainer)
        self.logged = {name: float(value) for name, value in metrics.items()}

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        with stays("trainer.fit_loop.epoch_progress.current"):
            self.outside.append(internals.in_epoch(trainer))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Constant, Watch]:
    """One epoch of three batches."""
    model, watch = Constant(), Watch()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Trainer(
            max_epochs=1,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[watch],
            default_root_dir=tmp_path_factory.mktemp("lightning"),
        ).fit(model, DataLoader(torch.tensor(LOSSES), batch_size=1))
    return model, watch


def test_metrics_about_to_be_logged(fitted: tuple[Constant, Watch]) -> None:
    with stays("trainer._logger_connector.metrics"):
        assert fitted[1].logged == {"train/loss": sum(LOSSES) / 3}


def test_batches_that_stepped(fitted: tuple[Constant, Watch]) -> None:
    with stays("trainer.fit_loop.epoch_loop._batches_that_stepped"):
        assert fitted[1].steps == 3


def test_epoch_means(fitted: tuple[Constant, Watch]) -> None:
    """Only what is gathered over the epoch, with its sums so far."""
    with stays("trainer.fit_loop.epoch_loop._results"):
        assert fitted[1].keys == {"training_step.train/loss"}
        assert fitted[1].means == [1.0, 1.5, 3.0]


def test_in_epoch(fitted: tuple[Constant, Watch]) -> None:
    with stays("trainer.fit_loop.epoch_progress.current"):
        assert fitted[1].outside == [False, False]
        assert fitted[1].inside == [True, True, True]


def test_attached_trainer(fitted: tuple[Constant, Watch]) -> None:
    with stays("LightningModule._trainer"):
        assert internals.attached_trainer(Constant()) is None
        assert isinstance(fitted[0].trainer_at_setup, Trainer)


def test_training_batches(fitted: tuple[Constant, Watch]) -> None:
    with stays("trainer.fit_loop.setup_data"):
        assert fitted[0].batches == 3


def test_mark_updated() -> None:
    before, after = MeanMetric(), MeanMetric()
    before.update(torch.tensor([1.0, 4.0]))
    with stays("Metric._update_count", torchmetrics), warnings.catch_warnings():
        warnings.simplefilter("error")  # torchmetrics warns of a compute before any update
        for name, value in before.metric_state.items():
            setattr(after, name, value)
        assert not after.update_called
        internals.mark_updated(after)
        assert after.update_called
        assert after.compute() == 2.5


class Strange:
    """What no checkpoint that is safe to load holds."""


def test_how_torch_names_the_code_in_a_pickle(tmp_path: Path) -> None:
    torch.save(Strange(), tmp_path / "strange.pt")
    with pytest.raises(UsageError) as caught:
        read_pickle(tmp_path / "strange.pt")
    with stays("the text of weights_only's UnpicklingError", torch, "zoo/io/weights.py, _CODE"):
        assert f"it asks for {Strange.__module__}.Strange)" in str(caught.value)


class Equal(nn.Module):
    """Asks for values, which are unknown while a model is exported."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs if torch.equal(inputs, -inputs) else -inputs


def test_how_torch_names_what_cannot_be_exported() -> None:
    with pytest.raises(Exception, match=r".") as caught:
        torch.export.export(Equal(), (torch.ones(3),))
    text = export._obstacle(caught.value)
    with stays("the text of torch.export's errors", torch, "zoo/inference/export.py, _obstacle"):
        line = "`return inputs if torch.equal(inputs, -inputs) else -inputs`"
        assert f"the operation aten.equal.default stands in the way in {line}" in text
        assert Path(__file__).name in text
