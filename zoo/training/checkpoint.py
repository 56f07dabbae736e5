"""When a run's checkpoint is written, from which it can continue after any crash."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import (
    Callback,
    GradientAccumulationScheduler,
    ModelCheckpoint,
    StochasticWeightAveraging,
)
from lightning.pytorch.utilities.exceptions import SIGTERMException

from zoo.plugin._lightning_internals import (
    accumulates,
    batches_that_stepped,
    epoch_ends_here,
    in_epoch,
    metrics_about_to_be_logged,
    only_measures,
    validates_here,
)
from zoo.training.csv_logger import MetricsLogger
from zoo.training.finite_loss import FiniteLoss
from zoo.training.monitors import MonitorNames

_BEFORE_VALIDATION = 20.0
"""Seconds of training that are worth a checkpoint just before the last batch of an epoch, as a
kill during the validation that follows would lose them."""


class LastCheckpoint(ModelCheckpoint):
    """Keeps ``last.ckpt``: after every epoch, within long epochs, and when asked to stop.

    Ctrl-C and SIGTERM end the run between two batches, where a checkpoint is exact. Within a
    validation none is exact: Ctrl-C waits for its end, and SIGTERM, which cannot wait, leaves
    the checkpoint from shortly before. A second Ctrl-C ends the run at once. It is a
    ModelCheckpoint only so that Lightning calls it after every hook that may still change
    something.

    Within an epoch it waits where a checkpoint would not be exact: while gradients are being
    accumulated, before a validation, which Lightning would leave out, and for the epoch's end
    with stochastic weight averaging, which restores its schedule only there. The epoch in which
    that measures the statistics of batch normalization is repeated as a whole.

    Args:
        path: The checkpoint's file.
        log: Written before each checkpoint, as rows up to it are not logged again; None for none.
        finite: Asked before each checkpoint; None to write any weights.
        names: What the user's callbacks monitor; None for nothing.
        interval: Seconds between checkpoints within an epoch.
    """

    def __init__(
        self,
        path: Path,
        log: MetricsLogger | None = None,
        finite: FiniteLoss | None = None,
        names: MonitorNames | None = None,
        interval: float = 300.0,
    ) -> None:
        super().__init__(save_top_k=0)
        self._path = path
        self._log = log
        self._finite = finite
        self._names = names
        self._interval = interval
        self._saved = time.monotonic()
        self._within_epochs = True
        self._measuring = False
        self._stopped = False
        self._accumulated: int | None = None
        self.longer = False
        """Whether a training that was told to stop, as by EarlyStopping, continues nevertheless."""
        self.began = False
        """Whether an epoch was started."""
        self._asked: type[BaseException] | None = None  # to stop, and how
        self._previous_handler: Any = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """All processes agree on the first one's path; Ctrl-C is taken over while fitting."""
        self._path = trainer.strategy.broadcast(self._path)
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # as of a job in background
        here = threading.current_thread() is threading.main_thread()
        if stage == "fit" and here and not ignored:
            self._previous_handler = signal.signal(signal.SIGINT, self._interrupt)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Ctrl-C is given back."""
        self.release()

    def release(self) -> None:
        """Give Ctrl-C back; Lightning leaves ``teardown`` out after an exception."""
        if self._previous_handler is not None:
            signal.signal(signal.SIGINT, self._previous_handler)
            self._previous_handler = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The interval counts from here, and a training that was told to stop before stays so.

        SIGTERM is taken over where Lightning's handler, which ends the training after any batch,
        would be wrong: it can deadlock processes inside a collective, and loses gradients.
        """
        self._saved = time.monotonic()
        if self._log and not in_epoch(trainer):
            self._log.forget_from(trainer.current_epoch)
        if self._stopped and not self.longer:
            trainer.should_stop = True
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        self._within_epochs = not _has(callbacks, StochasticWeightAveraging)
        scheduled = _has(callbacks, GradientAccumulationScheduler)
        if scheduled and self._accumulated and in_epoch(trainer):
            trainer.accumulate_grad_batches = self._accumulated
        waits = trainer.world_size > 1 or scheduled or trainer.accumulate_grad_batches > 1
        if waits and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._terminate)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See whether this epoch trains."""
        self.began = True
        self._measuring = only_measures(trainer)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save if it is time to, or if the user asked to stop."""
        if not _exact(trainer):
            return
        left = trainer.num_training_batches - batch_idx - 1
        window = trainer.accumulate_grad_batches
        interval = _BEFORE_VALIDATION if left <= window else self._interval
        if left <= window and self._names and self._names.unsure:
            interval = 0.0  # a callback may end the training at the epoch's end
        asked = self._asked  # a signal that comes from here on counts at the next batch
        due = asked is not None or time.monotonic() - self._saved > interval
        if trainer.world_size > 1:  # all processes save together; asking each other has a price
            if (batch_idx + 1) // window % 20:
                return
            due, asked = trainer.strategy.broadcast((due, asked))
        if due and self._within_epochs:
            self._save(trainer)
        self._stop(asked)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save, with the epoch's metrics in the log: Lightning logs them only after this."""
        metrics = metrics_about_to_be_logged(trainer)
        step = batches_that_stepped(trainer) - 1
        scalars = {name: float(value) for name, value in metrics.items()}
        if self._log:
            self._log.log_metrics({**scalars, "epoch": trainer.current_epoch}, step)
        self._save(trainer)
        self._stop(trainer.strategy.broadcast(self._asked))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Nothing: the epoch's end follows."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Nothing: the last epoch's end came before."""

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Save on SIGTERM, which Lightning raises between two batches. A validation or test that
        it stops leaves the checkpoint before."""
        sigterm = isinstance(exception, SIGTERMException) and trainer.training and not self._asked
        if (
            sigterm
            and self._within_epochs
            and not (accumulates(trainer) or epoch_ends_here(trainer))
        ):
            self._save(trainer)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note what Lightning forgets: whether the training was told to stop, and how many batches
        a step takes now, which a schedule sets at the start of an epoch."""
        checkpoint["zoo_stopped"] = trainer.should_stop
        checkpoint["zoo_accumulated"] = trainer.accumulate_grad_batches

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep it until training starts."""
        self._stopped = checkpoint.get("zoo_stopped", False)
        self._accumulated = checkpoint.get("zoo_accumulated")

    def state_dict(self) -> dict[str, Any]:
        """Nothing to keep."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to restore."""

    def _save(self, trainer: Trainer) -> None:
        if self._measuring:
            return
        if self._finite:
            self._finite.require_finite(trainer)
        if self._log:
            self._log.finalize("saved")
        trainer.save_checkpoint(self._path)
        self._saved = time.monotonic()

    def _stop(self, asked: type[BaseException] | None) -> None:
        if asked:
            self._asked = asked
            raise asked

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = KeyboardInterrupt

    def _terminate(self, signum: int, frame: FrameType | None) -> None:
        self._asked = SIGTERMException


def _exact(trainer: Trainer) -> bool:
    """At the end of a training batch, whether a checkpoint would miss nothing of what follows.
    The end of an epoch has one of its own."""
    return not (epoch_ends_here(trainer) or accumulates(trainer) or validates_here(trainer))


def _has(callbacks: list[Callback], kind: type[Callback]) -> bool:
    return any(isinstance(each, kind) for each in callbacks)
