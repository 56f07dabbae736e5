"""The private fields of Lightning and torchmetrics that the zoo depends on: all of them.

Each stands here once, under a name that says what it is for, with a test that fails with a
sentence when a release moves it (``tests/test_lightning_internals.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import (
    BatchSizeFinder,
    LearningRateFinder,
    ModelCheckpoint,
    WeightAveraging,
)
from lightning.pytorch.core.optimizer import _MockOptimizer
from lightning.pytorch.loops.fit_loop import _FitLoop
from lightning.pytorch.loops.loop import _Loop
from lightning.pytorch.strategies.launchers.multiprocessing import _MultiProcessingLauncher
from lightning.pytorch.utilities.parsing import lightning_hasattr
from torch import Tensor
from torch.nn import Module
from torchmetrics import Metric


def metrics_about_to_be_logged(trainer: Trainer) -> dict[str, Any]:
    """The epoch's metrics as its loggers will get them, which is after the last callback."""
    return trainer._logger_connector.metrics["log"]


def restore_metrics(trainer: Trainer, metrics: Mapping[str, Tensor]) -> None:
    """Let ``trainer.callback_metrics`` begin with these, until they are logged again."""
    trainer._logger_connector._callback_metrics.update(metrics)


def batches_that_stepped(trainer: Trainer) -> int:
    """Batches after which an optimizer stepped: the step that Lightning's loggers are given."""
    return trainer.fit_loop.epoch_loop._batches_that_stepped


def epoch_means(trainer: Trainer) -> dict[str, Any]:
    """The means, sums and extremes that ``self.log`` gathers over a training epoch, by key."""
    results: Any = trainer.fit_loop.epoch_loop._results
    return {k: each for k, each in results.items() if each.is_tensor and each.meta.on_epoch}


def step_metric(trainer: Trainer, name: str) -> Tensor | None:
    """The value that a training step logged last under this name with ``on_step=True``; each is a
    tensor of its own. None if none did in this epoch."""
    for key, each in _of_steps(trainer):
        if key == name:
            value: Tensor | None = each._forward_cache
            return value
    return None


def metrics_of_steps(trainer: Trainer) -> list[str]:
    """The names that training steps log with ``on_step=True``."""
    return [name for name, _ in _of_steps(trainer)]


def _of_steps(trainer: Trainer) -> list[tuple[str, Any]]:
    results: Any = trainer.fit_loop.epoch_loop._results
    return [(each.meta.name, each) for each in results.values() if each.meta.on_step]


def count_step_without_optimizer(trainer: Trainer) -> None:
    """At the end of a training batch, count a step if the optimization is manual and there is no
    optimizer that would count it."""
    manual = not trainer.lightning_module.automatic_optimization
    if manual and all(isinstance(each, _MockOptimizer) for each in trainer.optimizers):
        progress = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        progress.increment_ready()
        progress.increment_completed()


def validate_when(trainer: Trainer, due: Callable[[], bool]) -> None:
    """Let validations follow the training batches at whose end ``due`` says so, and the last one
    of a training that is told to stop."""
    loop = trainer.fit_loop.epoch_loop

    def should_check(data_fetcher: Any) -> bool:
        stops = trainer.should_stop and trainer.fit_loop._can_stop_early
        return bool(trainer.enable_validation and (stops or due()))

    loop._should_check_val_fx = should_check  # type: ignore[method-assign]


def mark_updated(metric: Metric) -> None:
    """Let a metric whose states were put back compute, as if it had been updated itself."""
    metric._update_count = 1


def in_epoch(trainer: Trainer) -> bool:
    """Whether a training epoch has begun and not ended."""
    progress: Any = trainer.fit_loop.epoch_progress.current
    begun: bool = progress.processed < progress.started
    return begun


def epoch_ends_here(trainer: Trainer) -> bool:
    """At the end of a training batch, whether the epoch has no more of them."""
    loop = trainer.fit_loop
    stops = trainer.should_stop and loop._can_stop_early
    return stops or loop.epoch_loop._is_training_done


def accumulates(trainer: Trainer) -> bool:
    """At the end of a training batch, whether its gradients wait for those of the next."""
    return trainer.fit_loop._should_accumulate()


def validates_here(trainer: Trainer) -> bool:
    """At the end of a training batch, whether a validation follows."""
    fetcher = trainer.fit_loop._data_fetcher
    assert fetcher is not None
    return trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher)


def only_measures(trainer: Trainer) -> bool:
    """Whether this epoch trains nothing: stochastic weight averaging adds one that measures the
    statistics of batch normalization."""
    return trainer.fit_loop._skip_backward


def trains_elsewhere(trainer: Trainer) -> bool:
    """Whether the strategy starts the training processes itself, all of them."""
    return isinstance(trainer.strategy.launcher, _MultiProcessingLauncher)


def averaged_modules(trainer: Trainer) -> list[Module]:
    """The modules that callbacks keep averages of the weights in."""
    callbacks: Any = trainer.callbacks  # type: ignore[attr-defined]
    found = [each._average_model for each in callbacks if isinstance(each, WeightAveraging)]
    return [each.module for each in found if each is not None]


def resume_between_epochs(trainer: Trainer) -> None:
    """Let a training that is continued from the end of an epoch begin the next one, or end.

    Lightning takes every checkpoint of a training with ``max_steps`` for one within an epoch,
    and counts an epoch of no batches. After the last epoch it leaves ``on_train_start`` and
    ``on_train_end`` out, in which callbacks restore what they kept and put averaged weights into
    the model.
    """
    loop = _ResumableFitLoop(trainer, trainer.fit_loop.min_epochs, trainer.fit_loop.max_epochs)
    loop.epoch_loop = trainer.fit_loop.epoch_loop
    trainer.fit_loop = loop


class _ResumableFitLoop(_FitLoop):
    def load_state_dict(self, state_dict: dict[str, Any], prefix: str = "") -> None:
        super().load_state_dict(state_dict, prefix)
        current: Any = self.epoch_progress.current
        if current.ready == current.processed:
            _Loop.restarting.fset(self, False)  # type: ignore[attr-defined]

    @property
    def skip(self) -> bool:
        if self._loaded_from_state_dict and self.max_batches:
            return self.trainer.limit_train_batches == 0
        return super().skip


_PROGRESS = (
    "_last_global_step_saved",
    "_last_checkpoint_saved",
    "_defer_save_until_validation",
)


def progress_of(callback: ModelCheckpoint) -> dict[str, Any]:
    """What decides when a ``ModelCheckpoint`` saves next, and is not in its state."""
    return {name: getattr(callback, name) for name in _PROGRESS}


def restore_progress(callback: ModelCheckpoint, progress: Mapping[str, Any]) -> None:
    """Put it back."""
    for name in _PROGRESS:
        setattr(callback, name, progress[name])


def searched_attribute(
    finder: LearningRateFinder | BatchSizeFinder, module: LightningModule
) -> str:
    """The attribute of the module, or of its data, that a finder looks for a value of."""
    if isinstance(finder, BatchSizeFinder):
        return finder._batch_arg_name
    if finder._attr_name:
        return finder._attr_name
    return "lr" if lightning_hasattr(module, "lr") else "learning_rate"


def attached_trainer(module: LightningModule) -> Trainer | None:
    """The Trainer that a module is attached to; None where ``module.trainer`` would raise."""
    return module._trainer


def training_batches(trainer: Trainer) -> float:
    """Batches of a training epoch. The loaders are made if they are not yet, as in
    ``configure_optimizers``; infinite for a loader without a length."""
    trainer.fit_loop.setup_data()
    return trainer.num_training_batches
