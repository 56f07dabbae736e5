"""Callbacks that measure a step of a run."""

from __future__ import annotations

import contextlib
import time
import warnings
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from gpu.record import CUDA
from gpu.timing import counted, wait


class HostWaits(Callback):
    """Counts where the second step of a training waits for the GPU; the batch is there by then.

    Attributes:
        facts: As of ``timing.host_waits``; nothing on a CPU.
    """

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self._catching = contextlib.ExitStack()
        self._warned: list[warnings.WarningMessage] | None = None

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """From here on the host's waits are warned of."""
        if CUDA and batch_idx == 1 and not self.facts:
            self._warned = self._catching.enter_context(warnings.catch_warnings(record=True))
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Up to here."""
        if self._warned is not None:
            self.facts = counted(self._warned)
            self._stop()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Nor after a failure."""
        self._stop()

    def _stop(self) -> None:
        if self._warned is not None:
            torch.cuda.set_sync_debug_mode("default")
            self._catching.close()
            self._warned = None


class StepClock(Callback):
    """Times the steps ``first`` to ``last`` (left out) of a training's first epoch.

    Attributes:
        seconds: Of a step, in the mean.
    """

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last
        self.seconds = 0.0
        self._started = 0.0

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """A step lies between the ends of two."""
        if trainer.current_epoch or batch_idx + 1 not in (self.first, self.last):
            return
        wait()
        if batch_idx + 1 == self.first:
            self._started = time.perf_counter()
        else:
            self.seconds = (time.perf_counter() - self._started) / (self.last - self.first)
