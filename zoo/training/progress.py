"""How far a training has come: a bar in a terminal, a line an epoch in a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, RichProgressBar

from zoo.io.rank_zero import rank_zero_print
from zoo.plugin.counters import counters_of
from zoo.plugin.stopping import budgets


class EpochPrinter(Callback):
    """Writes one line an epoch: where it is, the metrics, the seconds it took.

    Args:
        write: Receives each line; standard error by default, so that ``--json`` stays JSON.
    """

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        self._write = write or rank_zero_print
        self._start = 0.0
        self._seconds = 0.0
        self._epoch = ""
        self._left = TimeLeft()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A run that continues within an epoch has no start of it."""
        self._left.begin(trainer)
        self._start = time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The metrics of the epoch before are complete only now."""
        self._write_line(trainer)
        self._start = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The epoch's time ends here."""
        last = f"/{trainer.max_epochs}" if (trainer.max_epochs or -1) > 0 else ""
        self._epoch = f"epoch {trainer.current_epoch + 1}{last}"
        self._seconds = time.monotonic() - self._start

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the last line."""
        self._write_line(trainer)

    def _write_line(self, trainer: Trainer) -> None:
        if not self._epoch or not trainer.is_global_zero:
            return
        counts = shown_counts(trainer)
        metrics = "  ".join(
            f"{name} {shown_number(float(value))}"
            for name, value in sorted(trainer.callback_metrics.items())
            if not name.startswith("test/") and name not in counts
        )
        left = [f"{text} left"] if (text := self._left.text(trainer)) else []
        counted = [f"{name} {text}" for name, text in counts.items()]
        parts = [self._epoch, *counted, metrics, f"{self._seconds:.1f} s", *left]
        self._write("  ".join(parts))
        self._epoch = ""


class Bar(RichProgressBar):
    """Lightning's bar, with what is counted, and without a version number where there is none."""

    def __init__(self) -> None:
        super().__init__()
        self._left = TimeLeft()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The time counts from here."""
        super().on_train_start(trainer, pl_module)
        self._left.begin(trainer)

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """The metrics shown behind the bar."""
        metrics: dict[str, Any] = dict(super().get_metrics(trainer, pl_module))
        metrics.pop("v_num", None)
        metrics |= shown_counts(trainer)
        if text := self._left.text(trainer):
            metrics["left"] = text
        return metrics


class TimeLeft:
    """How long a training with a budget still takes, at the speed so far."""

    def __init__(self) -> None:
        self._start = 0.0
        self._counts: dict[str, int] = {}

    def begin(self, trainer: Trainer) -> None:
        """The time counts from here, as do the counts."""
        self._start, self._counts = time.monotonic(), counters_of(trainer)

    def text(self, trainer: Trainer) -> str:
        """As ``1:02:03``; empty without a budget, or before anything is counted."""
        limits = budgets(trainer)
        counts = counters_of(trainer) if limits else {}
        rates = {unit: counts[unit] - self._counts.get(unit, 0) for unit in limits}
        passed = time.monotonic() - self._start
        seconds = [
            passed * max(limit - counts[unit], 0) / rates[unit]
            for unit, limit in limits.items()
            if rates[unit] > 0
        ]
        return str(timedelta(seconds=round(min(seconds)))) if seconds else ""


def shown_counts(trainer: Trainer) -> dict[str, str]:
    """The counts, whole, those that have a budget as ``300/5000``."""
    limits = budgets(trainer)
    return {
        unit: f"{count}/{limits[unit]}" if unit in limits else str(count)
        for unit, count in counters_of(trainer).items()
    }


def shown_number(value: float) -> str:
    """Four digits, and of a whole number all."""
    return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def progress_callback() -> Callback:
    """Lightning's rich bar in a terminal, otherwise a line an epoch."""
    return Bar() if sys.stdout.isatty() else EpochPrinter()
