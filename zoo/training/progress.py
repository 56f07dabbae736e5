"""How far a training has come: a bar in a terminal, a line an epoch in a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, RichProgressBar

from zoo.io.rank_zero import rank_zero_print


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

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A run that continues within an epoch has no start of it."""
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
        metrics = "  ".join(
            f"{name} {float(value):.4g}"
            for name, value in sorted(trainer.callback_metrics.items())
            if not name.startswith("test/")
        )
        self._write(f"{self._epoch}  {metrics}  {self._seconds:.1f} s")
        self._epoch = ""


class Bar(RichProgressBar):
    """Lightning's bar, without the version number of a logger that has none."""

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """The metrics shown behind the bar."""
        metrics: dict[str, Any] = dict(super().get_metrics(trainer, pl_module))
        metrics.pop("v_num", None)
        return metrics


def progress_callback() -> Callback:
    """Lightning's rich bar in a terminal, otherwise a line an epoch."""
    return Bar() if sys.stdout.isatty() else EpochPrinter()
