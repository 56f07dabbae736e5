"""A ``CheckpointIO``, a profiler and a progress bar of the user's own, fitted into a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.plugins import AsyncCheckpointIO, CheckpointIO
from lightning.pytorch.profilers import PassThroughProfiler

from zoo.errors import UsageError
from zoo.training.checkpoint_files import CheckpointFiles


def with_checkpoint_files(plugins: Sequence[Any], files: CheckpointFiles) -> list[Any]:
    """The plugins, with the run's own way of keeping checkpoints.

    Args:
        plugins: The user's. An ``AsyncCheckpointIO`` calls ``files`` from its thread; any other
            ``CheckpointIO`` writes and reads the content of the files that ``files`` keeps whole.
        files: Whole files, the one before the last, and the removal of what is not wanted.

    Raises:
        UsageError: there are two.
    """
    own = [each for each in plugins if isinstance(each, CheckpointIO)]
    rest = [each for each in plugins if not isinstance(each, CheckpointIO)]
    if len(own) > 1:
        names = " and ".join(type(each).__name__ for each in own)
        raise UsageError(f"'trainer.plugins' names {names}: name one CheckpointIO")
    if not own:
        return [files, *rest]
    if isinstance(own[0], AsyncCheckpointIO):
        files.inner = own[0].checkpoint_io
        return [_LaterFiles(files), *rest]
    files.inner = own[0]
    return [files, *rest]


class _LaterFiles(AsyncCheckpointIO):
    """Lightning's, which tells ``files`` at once what it is about to write."""

    def __init__(self, files: CheckpointFiles) -> None:
        super().__init__(files)
        self._files = files

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write in a thread."""
        self._files.pending.add(Path(path))
        super().save_checkpoint(checkpoint, path, storage_options=storage_options)


def direct_profile(trainer: Trainer, folder: Path) -> None:
    """Let a profiler that was given no file write into the run folder: Lightning's would log its
    report at a level that nobody sees.

    Args:
        trainer: Whose profiler it is.
        folder: Where ``fit-profile.txt`` and ``test-profile.txt`` are to be.
    """
    profiler: Any = trainer.profiler  # type: ignore[attr-defined]
    if not profiler.filename and not isinstance(profiler, PassThroughProfiler):
        profiler.filename = "profile"
        profiler.dirpath = profiler.dirpath or folder
