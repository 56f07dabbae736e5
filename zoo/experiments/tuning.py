"""Lightning's finders of learning rate and batch size, for one look that changes nothing."""

from __future__ import annotations

import contextlib
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import BatchSizeFinder, Callback, LearningRateFinder
from lightning.pytorch.utilities.data import extract_batch_size

from zoo.errors import UsageError
from zoo.experiments.memory import memory_left, memory_peak
from zoo.plugin.protocols import AcceleratorChooser
from zoo.recipes.recipe import Recipe
from zoo.recipes.signatures import instantiate
from zoo.recipes.trainer import Trainer as OwnTrainer
from zoo.training.trainer import evaluation_trainer

_SETTINGS = (
    "accelerator",
    "accumulate_grad_batches",
    "gradient_clip_algorithm",
    "gradient_clip_val",
    "plugins",
    "precision",
    "tf32",
)
"""Those of a recipe with which a step is what it will be."""
LEAST, MOST, RATES = 1e-8, 1.0, 100
"""Learning rates that are tried."""
_STEPS = 4
"""Batches of each size, the first of which is not timed."""
_LARGEST = 8192
_RESERVE = 0.8
"""Share of the memory that is left which a batch twice as large may take."""


class _Found(Exception):
    """The search is over: nothing is trained."""


@dataclass
class RateCurve:
    """The loss while the learning rate rises, smoothed as Lightning does.

    Attributes:
        rates: Learning rates.
        losses: As many losses.
        suggestion: Where the loss falls most steeply; None where that cannot be said.
    """

    rates: list[float]
    losses: list[float]
    suggestion: float | None


@dataclass
class SizeCurve:
    """How fast batches of each size are trained on.

    Attributes:
        sizes: Samples in a batch, each twice the one before.
        speeds: Samples a second.
        ended: Why no larger one was tried.
    """

    sizes: list[int] = field(default_factory=list)
    speeds: list[float] = field(default_factory=list)
    ended: str = ""

    @property
    def suggestion(self) -> int:
        """The smallest size that is within a twentieth of the fastest."""
        fastest = max(self.speeds)
        return next(s for s, v in zip(self.sizes, self.speeds, strict=True) if v >= 0.95 * fastest)


def find_rate(
    recipe: Recipe,
    model: LightningModule,
    data: LightningDataModule,
    callbacks: Sequence[Callback],
) -> RateCurve:
    """Train a hundred batches with a rising learning rate.

    Args:
        recipe: Resolved.
        model: Its model, used up by this.
        data: Its data, set up.
        callbacks: Those that its start from other weights needs.

    Raises:
        UsageError: the model has not one optimizer, or its loss says nothing.
    """
    finder = _RateFinder(min_lr=LEAST, max_lr=MOST, num_training_steps=RATES, update_attr=False)
    _search(recipe, model, data, [*callbacks, finder])
    found = finder.optimal_lr
    assert found is not None
    pairs = zip(found.results["lr"], found.results["loss"], strict=False)
    finite = [(float(rate), float(loss)) for rate, loss in pairs if math.isfinite(loss)]
    rates, losses = [rate for rate, _ in finite], [loss for _, loss in finite]
    return RateCurve(rates, losses, steepest(rates, losses))


def steepest(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """Where a loss falls most steeply over the logarithm of the learning rate.

    The first and the last of the curve say nothing, and its slope is averaged over five points.
    (Lightning's own suggestion is the slope over the rate itself, which is steep where rates are
    small, whatever the loss does.)

    Args:
        rates: Rising.
        losses: As many.

    Returns:
        One of the rates; None where the loss falls nowhere or there are too few.
    """
    first, last, width = 10, 1, 5
    if len(rates) < first + last + width:
        return None
    slopes = np.gradient(np.array(losses), np.log(rates))[first:-last]
    smooth = np.convolve(slopes, np.ones(width) / width, mode="valid")
    index = int(smooth.argmin())
    return rates[first + index + width // 2] if smooth[index] < 0 else None


def find_size(
    recipe: Recipe,
    model: LightningModule,
    data: LightningDataModule,
    callbacks: Sequence[Callback],
) -> SizeCurve:
    """Train a few batches of each size until memory or data end.

    Args:
        recipe: Resolved.
        model: Its model, used up by this.
        data: Its data, with an attribute ``batch_size``.
        callbacks: As for ``find_rate``.

    Raises:
        UsageError: the model has no optimizer, or not even the smallest batch fits.
    """
    largest = min(_LARGEST, _samples(data) or _LARGEST)
    curve = SizeCurve(ended="all data are in one batch" if largest < _LARGEST else "the limit")
    count = max(1, math.floor(math.log2(largest)))  # 2, 4, ... up to the largest
    finder = _SizeFinder(steps_per_trial=_STEPS, init_val=2, max_trials=count)
    with _watched(model, data, curve) as watch:
        _search(recipe, model, data, [*callbacks, finder])
    if watch.largest > max(curve.sizes, default=0):
        curve.ended = "more would not fit into memory"
    if not curve.sizes:
        raise UsageError("not even a batch of 2 samples fits into memory: use a smaller model")
    return curve


class _RateFinder(LearningRateFinder):
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        _require_optimizer(trainer)
        super().on_fit_start(trainer, pl_module)
        raise _Found


class _SizeFinder(BatchSizeFinder):
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        _require_optimizer(trainer)
        super().on_fit_start(trainer, pl_module)
        raise _Found


def _require_optimizer(trainer: Trainer) -> None:
    """Without one no step is counted, and the search would not end."""
    real = [each for each in trainer.optimizers if each.param_groups]  # not Lightning's for none
    if len(real) != 1:
        raise UsageError(
            f"the model has {len(real) or 'no'} optimizers, and Lightning's finders take models of "
            "one: set its values by hand, or search for them with `zoo sweep`"
        )


def _search(
    recipe: Recipe,
    model: LightningModule,
    data: LightningDataModule,
    callbacks: list[Callback],
) -> None:
    named = {key: recipe.trainer[key] for key in _SETTINGS if key in recipe.trainer}
    settings = instantiate(OwnTrainer, named)
    if isinstance(model, AcceleratorChooser) and settings.get("accelerator", "auto") == "auto":
        settings["accelerator"] = model.choose_accelerator(data)
    # At most an epoch a rate; a schedule that has to know the end is left out by the search.
    settings |= {"max_epochs": RATES, "num_sanity_val_steps": 0, "callbacks": callbacks}
    settings |= {"check_val_every_n_epoch": None, "val_check_interval": 10**9}
    with tempfile.TemporaryDirectory() as scratch:
        trainer = evaluation_trainer(settings, Path(scratch))
        try:
            with contextlib.suppress(_Found):
                trainer.fit(model, datamodule=data)
        except MisconfigurationException as error:
            raise UsageError(
                f"Lightning's finder refuses the model: {' '.join(str(error).split())}"
            ) from error


@contextlib.contextmanager
def _watched(
    model: LightningModule, data: LightningDataModule, curve: SizeCurve
) -> Iterator[_Watch]:
    """Time the batches of a search that leaves callbacks out, and end it before the machine's
    memory does: what is taken beyond that ends other processes, or this one."""
    watch = _Watch(model, data, curve)
    hooks: dict[str, Callable[..., Any]] = {
        "on_train_batch_start": watch.begin,
        "on_train_batch_end": watch.end,
    }
    for name, hook in hooks.items():
        setattr(model, name, hook)
    try:
        yield watch
    finally:
        for name in hooks:
            delattr(model, name)


class _Watch:
    def __init__(self, model: LightningModule, data: LightningDataModule, curve: SizeCurve) -> None:
        self._model, self._data, self._curve = model, data, curve
        self._hooks = model.on_train_batch_start, model.on_train_batch_end
        self._before, self._size, self._start = memory_peak(), 0, 0.0
        self.largest = 0
        """The largest size that was begun with."""
        self._speeds: list[float] = []

    def begin(self, batch: Any, batch_idx: int) -> Any:
        size: int = self._data.batch_size  # type: ignore[attr-defined]
        if size != self._size:
            self._size, self._speeds, self.largest = size, [], max(size, self.largest)
            left, grown = memory_left(), memory_peak() - self._before
            if self._model.device.type == "cpu" and left is not None and grown > _RESERVE * left:
                # What torch raises, and the finder waits for.
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        self._start = time.perf_counter()
        return self._hooks[0](batch, batch_idx)

    def end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._hooks[1](outputs, batch, batch_idx)
        if self._model.device.type == "cuda":
            torch.cuda.synchronize(self._model.device)
        seconds = time.perf_counter() - self._start
        self._speeds.append(self._samples(batch) / seconds)
        if len(self._speeds) == _STEPS and self._size not in self._curve.sizes:
            self._curve.sizes.append(self._size)
            self._curve.speeds.append(statistics.median(self._speeds[1:]))

    def _samples(self, batch: Any) -> int:
        """Of a batch, which is smaller at the end of an epoch."""
        try:
            return min(extract_batch_size(batch), self._size)
        except MisconfigurationException:  # it has no tensors
            return self._size


def _samples(data: LightningDataModule) -> int | None:
    """Of the training part; None where that is not known."""
    try:
        return len(data.train_dataloader().dataset)
    except (AttributeError, TypeError, NotImplementedError):
        return None
