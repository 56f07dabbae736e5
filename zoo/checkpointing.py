"""Checkpoints that a run can continue from after any crash."""

from __future__ import annotations

import io
import random
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.combined_loader import CombinedLoader
from lightning.pytorch.utilities.exceptions import SIGTERMException

from zoo.files import write_atomically
from zoo.loading import ResumableLoader
from zoo.metrics_log import MetricsLog


class DurableCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place, flushes it to the disk and renames it, so that a
    kill at any moment leaves either the old checkpoint or the new one."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write ``checkpoint``; Lightning calls this on the first process only."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_atomically(Path(path), buffer.getbuffer().tobytes())


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

    Args:
        path: The checkpoint's file.
        log: Written before each checkpoint, as rows up to it are not logged again; None for none.
        interval: Seconds between checkpoints within an epoch.
    """

    def __init__(self, path: Path, log: MetricsLog | None = None, interval: float = 300.0) -> None:
        super().__init__(save_top_k=0)
        self._path = path
        self._log = log
        self._interval = interval
        self._saved = time.monotonic()
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
        """The interval counts from here. Several processes have to stop at the same batch:
        Lightning's handler of SIGTERM lets them wait for each other in the midst of others'
        exchanges, for good."""
        self._saved = time.monotonic()
        if trainer.world_size > 1 and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._terminate)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save if it is time to, or if the user asked to stop."""
        if trainer.is_last_batch:  # the epoch's end saves
            return
        left = trainer.num_training_batches - batch_idx - 1
        interval = _BEFORE_VALIDATION if left == 1 else self._interval
        asked = self._asked  # a signal that comes from here on counts at the next batch
        due = asked is not None or time.monotonic() - self._saved > interval
        if trainer.world_size > 1:  # all processes save together; asking each other has a price
            if (batch_idx + 1) % 20:
                return
            due, asked = trainer.strategy.broadcast((due, asked))
        if due:
            self._save(trainer)
        self._stop(asked)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save, with the epoch's figures in the log: Lightning logs them only after this."""
        figures = trainer._logger_connector.metrics["log"]
        step = trainer.fit_loop.epoch_loop._batches_that_stepped - 1
        scalars = {name: float(value) for name, value in figures.items()}
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
        if isinstance(exception, SIGTERMException) and trainer.training and not self._asked:
            self._save(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Nothing to keep."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to restore."""

    def _save(self, trainer: Trainer) -> None:
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


class LoaderPosition(Callback):
    """Carries the position of every ``ResumableLoader`` in its epoch through a checkpoint.

    Lightning would do it, but not where ``configure_optimizers`` asks for the number of steps:
    then the loaders are in place before the checkpoint is read.
    """

    def __init__(self) -> None:
        self._states: list[dict[str, int]] = []

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note the positions; an epoch may have ended before its loaders (``limit_train_batches``),
        which then begin anew."""
        states = [loader.state_dict() for loader in _loaders(trainer)]
        if not in_epoch(trainer):
            states = [{"batches": 0} for _ in states]
        checkpoint["zoo_loaders"] = states

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep the positions until the loaders exist."""
        self._states = checkpoint.get("zoo_loaders", [])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let each loader go on; the loaders wait with their work for the first batch."""
        states, self._states = self._states, []
        if states:
            for loader, state in zip(_loaders(trainer), states, strict=True):
                loader.load_state_dict(state)


def in_epoch(trainer: Trainer) -> bool:
    """Whether a training epoch has begun and not ended."""
    progress: Any = trainer.fit_loop.epoch_progress.current
    return progress.processed < progress.started


def _loaders(trainer: Trainer) -> list[ResumableLoader]:
    loaders = CombinedLoader(trainer.train_dataloader).flattened
    return [loader for loader in loaders if isinstance(loader, ResumableLoader)]


class RandomState(Callback):
    """Carries the states of Python's, numpy's and torch's generators through a checkpoint.

    The states are kept as lists of integers and tensors, which load under ``weights_only``.
    """

    def __init__(self) -> None:
        self._resumed: dict[str, Any] = {}

    def state_dict(self) -> dict[str, Any]:
        """The states now."""
        version, words, gauss = random.getstate()
        name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # type: ignore[misc]
        return {
            "python": [version, list(words), gauss],
            "numpy": [
                str(name),
                np.asarray(keys).tolist(),
                int(position),
                int(has_gauss),
                float(cached),
            ],
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the states until training starts: what happens before may draw as well."""
        self._resumed = state_dict

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go on drawing where the checkpoint was taken; every process draws its own numbers."""
        state, self._resumed = self._resumed, {}
        if state:
            self._restore(state)
        if trainer.global_rank:
            torch.manual_seed(int(torch.randint(2**62, ())) + trainer.global_rank)

    def _restore(self, state: dict[str, Any]) -> None:
        version, words, gauss = state["python"]
        random.setstate((version, tuple(words), gauss))
        name, keys, *rest = state["numpy"]
        np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
        torch.set_rng_state(state["torch"].cpu())
        if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([each.cpu() for each in state["cuda"]])
