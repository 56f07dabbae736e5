"""Callbacks that end a training by what it counts: at a budget, or once a problem is solved."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import distributed

from zoo.errors import UsageError, ZooError
from zoo.io.rank_zero import rank_zero_print
from zoo.plugin._lightning_internals import metrics_of_steps, step_metric
from zoo.plugin.arguments import at_least, one_of
from zoo.plugin.counters import counters_of

_PATIENCE = 1000
"""Batches after which a metric that none of them logged is taken for one that is never logged."""


class Budget(Callback):
    """Ends a training once a count has reached its limit: the ``budget`` of a recipe.

    The training ends after the first batch with which one of the counts reaches its limit, so that
    a step which counts 20 ends a budget of 50 at 60. A validation follows, if there is one.

    Args:
        limits: Units that model or data count (``HasCounters``) to their limits.
        whole_epochs: End with the epoch in which the limit is reached instead.
    """

    def __init__(self, limits: Mapping[str, int], whole_epochs: bool = False) -> None:
        for unit, limit in limits.items():
            at_least(f"the budget of {unit}", limit, 1)
        self._limits = dict(limits)
        self._whole_epochs = whole_epochs
        self._begin: dict[str, int] | None = None
        self.stop_reason = ""
        """Why it ended the training, said at the training's end."""

    def limits(self, trainer: Trainer) -> dict[str, int]:
        """The limits by unit; empty for none."""
        return self._limits

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A run that was cut after its last batch has nothing left to train."""
        self._end_if_reached(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the counts; a run that continues within an epoch has no start of it."""
        self._begin = self.counts(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop if a budget is used up."""
        if not self._whole_epochs:
            self._end_if_reached(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The same.

        Raises:
            ZooError: nothing was counted in the epoch, and nothing else would end the training.
        """
        self._end_if_reached(trainer)
        begin, self._begin = self._begin, None
        if begin and begin == self.counts(trainer) and _endless(trainer):
            raise ZooError(
                f"epoch {trainer.current_epoch + 1} counted no {' and no '.join(begin)}: the "
                "budget would never be reached. Let `counters` grow, or set trainer.max_epochs"
            )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say what is left of a budget that another limit ended."""
        if trainer.should_stop or not self.limits(trainer):
            return
        limits, counts = self.limits(trainer), self.counts(trainer)
        left = ", ".join(f"{counts[unit]} of {limits[unit]} {unit}" for unit in limits)
        rank_zero_print(
            f"training ends after epoch {trainer.current_epoch}, by the Trainer's limits, before "
            f"its budget: {left}; --trainer.max_epochs -1 leaves the budget alone to end it"
        )

    def reason(self, unit: str, counted: int, limit: int) -> str:
        """The sentence for a limit that is reached."""
        return f"{counted} {unit} are counted, and the budget is {limit}"

    def counts(self, trainer: Trainer) -> dict[str, int]:
        """What is counted of the units that have a limit."""
        limits = self.limits(trainer)
        return {k: v for k, v in counters_of(trainer).items() if k in limits} if limits else {}

    def _end_if_reached(self, trainer: Trainer) -> None:
        limits = self.limits(trainer)
        if not limits:
            return
        counts = self.counts(trainer)
        reached = [unit for unit in limits if counts[unit] >= limits[unit]]
        reasons = " and ".join(self.reason(unit, counts[unit], limits[unit]) for unit in reached)
        if reason := _first_reason(trainer, reasons):
            trainer.should_stop = True
            self.stop_reason = reason


class StopWhenSolved(Callback):
    """Ends a training once a metric is good enough over a window of the last counts.

    The metric is what ``training_step`` logs with ``on_step=True``; each value stands for what was
    counted since the one before. The window is the fewest of the last values that cover ``over``
    counts, as ``{monitor: train/right, threshold: 1.0, over: 2000, unit: sequences}`` for the last
    2,000 sequences right. It is part of the checkpoints: a resumed run ends where one that was
    never cut does.

    Args:
        monitor: The metric's name.
        threshold: What it has to reach.
        mode: ``max``: at least the threshold; ``min``: at most.
        over: Counts that the window covers.
        unit: What is counted, by model or data (``HasCounters``); None counts training batches.
        reduction: ``mean``: the mean of the window, weighted by the counts, has to reach the
            threshold; ``every``: each value has to.

    Raises:
        UsageError: an argument is out of its range, or the metric is one of a validation or test.
    """

    def __init__(
        self,
        monitor: str,
        threshold: float,
        mode: Literal["max", "min"] = "max",
        over: int = 100,
        unit: str | None = None,
        reduction: Literal["mean", "every"] = "mean",
    ) -> None:
        one_of("mode", mode, ("max", "min"))
        one_of("reduction", reduction, ("mean", "every"))
        at_least("over", over, 1)
        if monitor.startswith(("val/", "test/")):
            raise UsageError(
                f"StopWhenSolved watches what training steps log, and {monitor!r} is logged by "
                f"another part of the run: name a metric such as 'train/{monitor[4:].strip('/')}', "
                "or take EarlyStopping with its stopping_threshold"
            )
        self.unit = unit
        self._name, self._threshold, self._mode = monitor, threshold, mode
        self._over, self._reduction = over, reduction
        self._window: deque[tuple[float, int]] = deque()
        self._covered = 0
        self._batches = 0
        self._counted: int | None = None
        self._latest: Any = None
        self._logged = self._whole_epoch = False
        self.stop_reason = ""
        """Why it ended the training, said at the training's end."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What is counted before the training belongs to no value."""
        if self._counted is None:
            self._counted = self._count(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From here on the epoch is seen as a whole."""
        self._whole_epoch = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take what this batch logged into the window.

        Raises:
            UsageError: many batches were trained, and none logged the metric.
        """
        self._batches += 1
        latest = step_metric(trainer, self._name)
        if latest is not None and latest is not self._latest:
            self._latest, self._logged = latest, True
            self._add(float(latest), self._count(trainer))
        elif self._batches >= _PATIENCE:
            self._require_logged(trainer)
        if reason := _first_reason(trainer, self._reason() if self._solved() else ""):
            trainer.should_stop = True
            self.stop_reason = reason

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See that the metric is logged at all.

        Raises:
            UsageError: no batch of the epoch logged it.
        """
        if self._whole_epoch:
            self._require_logged(trainer)
        self._latest = None  # the values of an epoch end with it

    def state_dict(self) -> dict[str, Any]:
        """The window, in plain numbers."""
        return {
            "window": [list(each) for each in self._window],
            "batches": self._batches,
            "counted": self._counted,
            "logged": self._logged,
            "reason": self.stop_reason,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue with a window."""
        self._window = deque((value, weight) for value, weight in state_dict["window"])
        self._covered = sum(weight for _, weight in self._window)
        self._batches, self._counted = state_dict["batches"], state_dict["counted"]
        self._logged, self.stop_reason = state_dict["logged"], state_dict["reason"]

    def _count(self, trainer: Trainer) -> int:
        return self._batches if self.unit is None else counters_of(trainer)[self.unit]

    def _add(self, value: float, counted: int) -> None:
        weight, self._counted = counted - (self._counted or 0), counted
        if weight < 1:  # it stands for nothing that was counted
            return
        self._window.append((value, weight))
        self._covered += weight
        while self._covered - self._window[0][1] >= self._over:
            self._covered -= self._window.popleft()[1]

    def _solved(self) -> bool:
        if self._covered < self._over:
            return False
        values = [self._mean()] if self._reduction == "mean" else [v for v, _ in self._window]
        if self._mode == "max":
            return all(value >= self._threshold for value in values)
        return all(value <= self._threshold for value in values)

    def _reason(self) -> str:
        kept = "was" if self._reduction == "mean" else "was always"
        bound = "at least" if self._mode == "max" else "at most"
        return (
            f"solved, {self._name} {kept} {bound} {self._threshold:g} over the last "
            f"{self._covered} {self.unit or 'training batches'}"
            + (f" (its mean {self._mean():.6g})" if self._reduction == "mean" else "")
        )

    def _mean(self) -> float:
        return sum(value * weight for value, weight in self._window) / self._covered

    def _require_logged(self, trainer: Trainer) -> None:
        if self._logged:
            return
        known = ", ".join(metrics_of_steps(trainer))
        raise UsageError(
            f"'trainer.callbacks': StopWhenSolved watches {self._name!r}, which no training step "
            "has logged: log it in training_step with on_step=True"
            + (f", or name one of those that are: {known}" if known else "")
        )


def budgets(trainer: Trainer) -> dict[str, int]:
    """The limits of all budgets of a Trainer, by unit; of two, the lower."""
    found: dict[str, int] = {}
    callbacks: Iterable[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for each in callbacks:
        for unit, limit in each.limits(trainer).items() if isinstance(each, Budget) else ():
            found[unit] = min(limit, found.get(unit, limit))
    return found


def _first_reason(trainer: Trainer, reason: str) -> str:
    """Several processes end together, as soon as one of them has a reason to: the first of them
    that has one."""
    if trainer.world_size == 1:
        return reason
    if not trainer.strategy.reduce_boolean_decision(bool(reason), all=False):
        return ""
    reasons: list[str | None] = [None] * trainer.world_size
    distributed.all_gather_object(reasons, reason)
    return next(each for each in reasons if each)


def _endless(trainer: Trainer) -> bool:
    return trainer.max_epochs == -1 and trainer.max_steps == -1
