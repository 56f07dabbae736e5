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
from lightning.pytorch.callbacks import (
    BatchSizeFinder,
    Callback,
    LearningRateFinder,
    ModelCheckpoint,
    WeightAveraging,
)
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
        self.learning_rate = 0.0
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
        self.ends: list[bool] = []
        self.waits: list[bool] = []
        self.validates: list[bool] = []
        self.measures: list[bool] = []
        self.steps = 0
        self.means: list[float] = []
        self.keys: set[str] = set()
        self.logged: dict[str, float] = {}
        self.values: list[Tensor | None] = []
        self.names: list[str] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        with stays("trainer.fit_loop.epoch_progress.current"):
            self.outside.append(internals.in_epoch(trainer))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        with stays("trainer.fit_loop._skip_backward"):
            self.measures.append(internals.only_measures(trainer))

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        with stays("trainer.fit_loop._can_stop_early or .epoch_loop._is_training_done"):
            self.ends.append(internals.epoch_ends_here(trainer))
        with stays("trainer.fit_loop._should_accumulate"):
            self.waits.append(internals.accumulates(trainer))
        with stays("trainer.fit_loop._data_fetcher or .epoch_loop._should_check_val_fx"):
            self.validates.append(internals.validates_here(trainer))
        with stays("trainer.fit_loop.epoch_progress.current"):
            self.inside.append(internals.in_epoch(trainer))
        with stays("_ResultMetric._forward_cache"):
            self.values.append(internals.step_metric(trainer, "train/step"))
            self.names = internals.metrics_of_steps(trainer)
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


def test_step_metric(fitted: tuple[Constant, Watch]) -> None:
    """Each step's value is a tensor of its own; what is not logged by steps is not among them."""
    with stays("_ResultMetric._forward_cache"):
        assert [float(each) for each in fitted[1].values if each is not None] == list(LOSSES)
        assert len({id(each) for each in fitted[1].values}) == 3
        assert fitted[1].names == ["train/step"]


class Due(Constant):
    """Validates, and has no optimizer."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.validated: list[int] = []

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.validated.append(self.global_step)

    def configure_optimizers(self) -> None:  # type: ignore[override]
        return None


class Steps(Callback):
    """Validates after every second batch, and counts batches as steps."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        with stays("trainer.fit_loop.epoch_loop._should_check_val_fx"):
            internals.validate_when(trainer, lambda: trainer.global_step % 2 == 0)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        with stays("_MockOptimizer or epoch_loop.manual_optimization.optim_step_progress"):
            internals.count_step_without_optimizer(trainer)


def test_validate_when_and_steps_without_an_optimizer(tmp_path: Path) -> None:
    model = Due()
    trainer = Trainer(
        max_steps=5,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[Steps()],
        default_root_dir=tmp_path,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(model, DataLoader(torch.tensor(LOSSES)), DataLoader(torch.zeros(1)))
    with stays("trainer.fit_loop.epoch_loop._should_check_val_fx"):
        assert model.validated == [2, 4]
    with stays("epoch_loop.manual_optimization.optim_step_progress"):
        assert trainer.global_step == 5


def test_in_epoch(fitted: tuple[Constant, Watch]) -> None:
    with stays("trainer.fit_loop.epoch_progress.current"):
        assert fitted[1].outside == [False, False]
        assert fitted[1].inside == [True, True, True]


def test_the_end_of_a_batch(fitted: tuple[Constant, Watch]) -> None:
    """No validation, no accumulation, three batches."""
    with stays("what an epoch does next"):
        assert fitted[1].ends == [False, False, True]
        assert fitted[1].waits == [False, False, False]
        assert fitted[1].validates == [False, False, False]
        assert fitted[1].measures == [False]


class Count(Callback):
    """Counts the ends of epochs and of the training."""

    def __init__(self) -> None:
        self.epochs = self.trainings = 0
        self.seen: dict[str, Tensor] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        with stays("trainer._logger_connector._callback_metrics"):
            internals.restore_metrics(trainer, {"val/before": torch.tensor(2.0)})
            self.seen = dict(trainer.callback_metrics)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.epochs += 1

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.trainings += 1


@pytest.mark.parametrize(
    ("limits", "epochs"),
    [({"max_steps": 6}, 1), ({"max_steps": 3}, 0), ({"max_epochs": 2}, 1), ({"max_epochs": 1}, 0)],
)
def test_resume_between_epochs(limits: dict[str, int], epochs: int, tmp_path: Path) -> None:
    """From the end of the first of epochs of three batches; nothing is repeated or left out."""
    data = DataLoader(torch.tensor(LOSSES), batch_size=1)
    quiet: dict[str, Any] = {
        "accelerator": "cpu",
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "default_root_dir": tmp_path,
    }
    keeper = ModelCheckpoint(tmp_path, "first", save_on_train_epoch_end=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Trainer(max_epochs=1, callbacks=[keeper], **quiet).fit(Constant(), data)
        count = Count()
        trainer = Trainer(callbacks=[count], enable_checkpointing=False, **limits, **quiet)
        with stays("_FitLoop.load_state_dict, .skip or .restarting"):
            internals.resume_between_epochs(trainer)
            trainer.fit(Constant(), data, ckpt_path=keeper.best_model_path, weights_only=True)
            assert (count.epochs, count.trainings) == (epochs, 1)
            assert trainer.current_epoch == 1 + epochs
            assert trainer.global_step == 3 + 3 * epochs
    assert count.seen == {"val/before": torch.tensor(2.0)}


def test_progress_of_a_model_checkpoint() -> None:
    before, after = ModelCheckpoint(), ModelCheckpoint()
    with stays("ModelCheckpoint._last_global_step_saved and its like"):
        assert before._last_global_step_saved == 0
        assert before._last_checkpoint_saved == ""
        assert before._defer_save_until_validation is False
        before._last_global_step_saved = 7
        internals.restore_progress(after, internals.progress_of(before))
        assert after._last_global_step_saved == 7


def test_averaged_modules(tmp_path: Path) -> None:
    trainer = Trainer(accelerator="cpu", logger=False, callbacks=[WeightAveraging()])
    with stays("WeightAveraging._average_model"):
        assert internals.averaged_modules(trainer) == []
        model = Constant()
        trainer.callbacks[0].setup(trainer, model, "fit")  # type: ignore[attr-defined]
        (average,) = internals.averaged_modules(trainer)
        assert average is not model
        assert average.state_dict() == model.state_dict()


def test_searched_attribute() -> None:
    model = Constant()
    model.learning_rate = 0.1
    with stays("LearningRateFinder._attr_name"):
        assert internals.searched_attribute(LearningRateFinder(), model) == "learning_rate"
        assert internals.searched_attribute(LearningRateFinder(attr_name="x"), model) == "x"
    with stays("BatchSizeFinder._batch_arg_name"):
        assert internals.searched_attribute(BatchSizeFinder(batch_arg_name="n"), model) == "n"


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
