"""The files of a recipe's own ``ModelCheckpoint``s, in a run that may be cut, moved or renamed."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from zoo.errors import UsageError
from zoo.plugin._lightning_internals import progress_of, restore_progress
from zoo.training.checkpoint import LastCheckpoint
from zoo.training.checkpoint_files import CheckpointFiles

_LAST = "newest"
"""What ``save_last`` writes beside the run's own ``last.ckpt``."""


_FIELD = re.compile(r"\{([^:{}]+)[^{}]*\}")
"""A field of a file name's template: ``{epoch:03d}``."""


class UsersCheckpoints(Callback):
    """Keeps what ``ModelCheckpoint``s know of their files true after a resume.

    A checkpoint carries the run's folder, so that paths in it are understood wherever the folder
    lies by then, and the names of the files kept so far, so that those of the part of the
    training that is repeated are removed before.

    Args:
        folder: The run's.
        files: Its checkpoints.
    """

    def __init__(self, folder: Path, files: CheckpointFiles) -> None:
        self._folder = os.path.realpath(folder)
        self._files = files

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """All processes agree on the first one's folder."""
        self._folder = trainer.strategy.broadcast(self._folder)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note the folder, the files, and when each last saved."""
        checkpoint["zoo_files"] = {
            "folder": self._folder,
            "names": self._files.names() if trainer.is_global_zero else [],
            "progress": {each.state_key: progress_of(each) for each in _keepers(trainer)},
        }

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Remove the files that are about to be written again, and correct the paths."""
        found = checkpoint.get("zoo_files")
        if found is None:  # as 0.1.0 wrote it
            return
        if trainer.is_global_zero:
            self._files.keep_only(found["names"])
        here = functools.partial(self._here, before=found["folder"])
        for callback in _keepers(trainer):
            state = checkpoint["callbacks"].get(callback.state_key)
            if not state:
                continue
            state["dirpath"] = callback.dirpath
            for key in ("best_model_path", "kth_best_model_path", "last_model_path"):
                state[key] = here(state[key])
            state["best_k_models"] = {here(k): v for k, v in state["best_k_models"].items()}
            progress = found["progress"][callback.state_key]
            saved = here(progress["_last_checkpoint_saved"])
            restore_progress(callback, {**progress, "_last_checkpoint_saved": saved})

    def _here(self, path: str, before: str) -> str:
        """Where a file lies now whose run lay in the folder ``before``."""
        if not path or not Path(path).is_relative_to(before):
            return path
        moved = Path(self._folder) / Path(path).relative_to(before)
        return str(moved) if moved.is_file() else path


def _keepers(trainer: Trainer) -> list[ModelCheckpoint]:
    return [
        each
        for each in trainer.checkpoint_callbacks
        if isinstance(each, ModelCheckpoint) and not isinstance(each, LastCheckpoint)
    ]


def place(callback: ModelCheckpoint, folder: Path) -> None:
    """Let a ``ModelCheckpoint`` that has no ``dirpath`` write into a run's folder of checkpoints.

    A metric's name that its file name has in it is written with ``_`` for the slash, which would
    make a folder: ``{val/loss:.2f}`` becomes ``val_loss=0.52``.

    Raises:
        UsageError: it would write over the run's own checkpoints.
    """
    if callback.auto_insert_metric_name and callback.filename:
        callback.filename = _FIELD.sub(
            lambda found: (
                f"{found[1].replace('/', '_')}{callback.CHECKPOINT_EQUALS_CHAR}{found[0]}"
            ),
            callback.filename,
        )
        callback.auto_insert_metric_name = False
    if callback.dirpath is None:
        callback.dirpath = os.path.realpath(folder)
    if os.path.realpath(callback.dirpath) != os.path.realpath(folder):
        return
    if callback.filename in ("last", "previous"):
        raise UsageError(
            f"ModelCheckpoint: the file name {callback.filename!r} is that of a run's own "
            "checkpoint; choose another `filename`, or a `dirpath`"
        )
    if callback.save_last:
        callback.CHECKPOINT_NAME_LAST = _LAST
