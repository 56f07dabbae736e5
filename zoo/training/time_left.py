"""How long a training still takes: in all, at the speed so far, in the learner's own unit."""

from __future__ import annotations

import time
from datetime import timedelta

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping

from zoo.io.rank_zero import rank_zero_print
from zoo.plugin.counters import counters_of
from zoo.plugin.stopping import StopWhenSolved, budgets

_WARM_UP = 3
"""Batches that are not timed, as the first ones allocate, compile and read."""
_BATCHES, _SECONDS = 20, 5.0
"""An estimate is said after so many batches, or so many seconds of three or more."""
_WORTH_SAYING = 30.0
"""Seconds below which a training ends before an estimate of it is read."""


def fraction_done(trainer: Trainer, batches: int = 0) -> float | None:
    """The part of a training that is done, by that of its limits which comes first.

    Args:
        trainer: In training.
        batches: Batches that are done of the current epoch.

    Returns:
        0 to 1; None without a limit in epochs, steps or counts.
    """
    parts: list[float] = []
    limits = budgets(trainer)
    if limits:
        counts = counters_of(trainer)
        parts += [counts[unit] / limit for unit, limit in limits.items()]
    if trainer.max_steps > 0:
        parts.append(trainer.global_step / trainer.max_steps)
    if trainer.max_epochs is not None and trainer.max_epochs > 0:
        length = trainer.num_training_batches
        within = min(batches / length, 1.0) if 0 < length < float("inf") else 0.0
        parts.append((trainer.current_epoch + within) / trainer.max_epochs)
    return min(max(parts), 1.0) if parts else None


class TimeLeft:
    """How long a training with a limit still takes, at the speed so far."""

    def __init__(self) -> None:
        self._start = 0.0
        self._done: float | None = None

    def begin(self, done: float | None) -> None:
        """The time counts from here.

        Args:
            done: Part of the training, 0 to 1; of a resumed one above 0.
        """
        self._start, self._done = time.monotonic(), done

    def seconds(self, done: float | None) -> float | None:
        """Seconds left; None without a limit, or before anything is done.

        Args:
            done: Part of the training by now.
        """
        if done is None or self._done is None or done <= self._done:
            return None
        passed = time.monotonic() - self._start
        return passed * (1 - done) / (done - self._done)

    def text(self, done: float | None) -> str:
        """As ``1:02:03`` or ``2:03``, empty at the end and where it is not known."""
        left = None if done == 1 else self.seconds(done)
        if left is None:
            return ""
        text = str(timedelta(seconds=round(left)))
        return text if left >= 3600 else text.removeprefix("0:").removeprefix("0")


class Estimate(Callback):
    """Says once, after the first steps, how long the training takes in all."""

    def __init__(self) -> None:
        self._left = TimeLeft()
        self._batches = 0
        self._begun = 0.0
        self._said = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, i: int
    ) -> None:
        """Time the batches after the first few."""
        if self._said:
            return
        self._batches += 1
        if self._batches <= _WARM_UP:
            self._begun = time.monotonic()
            self._left.begin(fraction_done(trainer, i + 1))
        elif self._batches >= _WARM_UP + _BATCHES or time.monotonic() - self._begun > _SECONDS:
            self._say(trainer, i + 1)

    def _say(self, trainer: Trainer, batches: int) -> None:
        left = self._left.seconds(fraction_done(trainer, batches))
        if left is None:
            return
        self._said = True
        if left >= _WORTH_SAYING:
            rank_zero_print(f"{_at_most(trainer)}about {spoken(left)} {_until(trainer)}")


def spoken(seconds: float) -> str:
    """A length of time as one says it: ``6 minutes``, ``3 hours``."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 1.5 * length:
            return f"{round(seconds / length)} {unit}s"
    return f"{round(seconds)} seconds"


def _at_most(trainer: Trainer) -> str:
    """A training that may be told to stop need not come to its limits."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    early = any(isinstance(each, EarlyStopping | StopWhenSolved) for each in callbacks)
    return "up to " if early else ""


def _until(trainer: Trainer) -> str:
    """What the training ends with."""
    if limits := budgets(trainer):
        return "to " + " or ".join(f"{limit} {unit}" for unit, limit in limits.items())
    if trainer.max_steps > 0:
        return f"to step {trainer.max_steps}"
    left = (trainer.max_epochs or 0) - trainer.current_epoch
    return f"for {left} epoch{'s' * (left != 1)}"
