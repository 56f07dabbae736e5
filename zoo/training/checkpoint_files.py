"""How checkpoints are written, read and removed, so that a run survives any crash."""

from __future__ import annotations

import io
import pickle
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from lightning.pytorch.plugins.io import CheckpointIO, TorchCheckpointIO

from zoo.errors import UsageError, ZooError
from zoo.io.atomic import write_atomically
from zoo.io.rank_zero import rank_zero_print
from zoo.io.sealed_zip import is_whole, write_sealed
from zoo.io.weights import read_pickle

_KEYS = ("pytorch-lightning_version", "state_dict", "loops", "optimizer_states", "lr_schedulers")


def previous_of(last: Path) -> Path:
    """Where the checkpoint before ``last`` is kept."""
    return last.with_name("previous.ckpt")


class CheckpointFiles(TorchCheckpointIO):
    """Keeps a run's checkpoints whole.

    A checkpoint is written to a temporary file next to it, flushed to the disk and renamed, so
    that a kill at any moment leaves either the old one or the new one. It carries a checksum.
    The one before the last is kept until the next is complete, and read where the last is
    damaged; and what those two name is removed only once neither of them does.

    Args:
        last: The checkpoint that a run continues from.
    """

    def __init__(self, last: Path) -> None:
        self.inner: CheckpointIO | None = None
        """Writes and reads the content, in the place of torch."""
        self.pending: set[Path] = set()
        """Checkpoints that a thread is about to write."""
        self._last = last
        self._previous = previous_of(last)
        self._damaged = False
        self.removed: list[Path] = []
        """Checkpoints in the run's folder that are not wanted any more, since the last one."""
        self._removed_before: list[Path] = []
        self._readable = False

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write ``checkpoint``; Lightning calls this on the first process only.

        Raises:
            ZooError: it holds what it could not be read with; nothing is written.
        """
        path = Path(path)
        last = path == self._last
        previous = self._previous if last and not self._damaged else None
        content = self._by_inner if self.inner else self._by_torch
        write_atomically(path, content(checkpoint, path), keep=previous)
        self.pending.discard(path)
        self._forget(path)
        if last:
            self._damaged = False
            _unlink(self._removed_before)
            self._removed_before, self.removed = self.removed, []

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint on the CPU, always with ``weights_only``; for the last one that is
        damaged, the one before it.

        Raises:
            UsageError: it is damaged, runs code, or is not a checkpoint of Lightning.
        """
        path = Path(path)
        if path == self._last and not (path.is_file() and self._is_whole(path)):
            if path.is_file():  # otherwise a kill came just before the next one was renamed
                self._damaged = True
                rank_zero_print(f"{path} is damaged")
            if self._previous.is_file():
                path = self._previous
                rank_zero_print(f"the run continues from the checkpoint before it, {path}")
        content = self.inner.load_checkpoint(path) if self.inner else read_whole(path)
        if path not in (self._last, self._previous):  # weights that a process hands to another
            return cast("dict[str, Any]", content)
        return _training_state(path, content)

    def _by_torch(self, checkpoint: dict[str, Any], _: Path) -> Callable[[BinaryIO], None]:
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        if not self._readable:
            _require_readable(checkpoint, buffer)
            self._readable = True
        return lambda file: write_sealed(buffer.getbuffer(), file)

    def _by_inner(self, checkpoint: dict[str, Any], path: Path) -> bytes:
        assert self.inner is not None
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / path.name
            self.inner.save_checkpoint(checkpoint, file)
            if not file.is_file():
                raise UsageError(
                    f"{type(self.inner).__name__} of 'trainer.plugins' does not write a checkpoint "
                    "into the one file that it is given: choose one that does"
                )
            return file.read_bytes()

    def _is_whole(self, path: Path) -> bool:
        """Only what torch writes carries a checksum."""
        return self.inner is not None or is_whole(path)

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint, unless the last or the one before it may still name it."""
        path = Path(path)
        if path.is_file() and path.resolve().is_relative_to(self._last.parent.resolve()):
            self.removed.append(path)
        else:
            super().remove_checkpoint(path)

    def names(self) -> list[str]:
        """The checkpoints beside the last one that are wanted, relative to its folder."""
        folder = self._last.parent.resolve()
        other = {self._last, self._previous, *self.removed, *self._removed_before}
        others = {path.resolve() for path in other}
        there = {path.resolve() for path in (*folder.rglob("*.ckpt"), *self.pending)}
        found = [path for path in there - others if path.is_relative_to(folder)]
        return sorted(str(path.relative_to(folder)) for path in found)

    def keep_only(self, names: Collection[str]) -> None:
        """Remove the checkpoints beside the last one that are not among ``names``: those of the
        part of a training that is about to be repeated."""
        _unlink([self._last.parent / name for name in self.names() if name not in names])

    def finish(self) -> None:
        """Remove what only a run that is not finished needs."""
        _unlink([self._previous, *self._removed_before, *self.removed])
        self._removed_before, self.removed = [], []

    def _forget(self, path: Path) -> None:
        """A checkpoint that is written again is wanted."""
        for paths in (self.removed, self._removed_before):
            paths[:] = [each for each in paths if each.resolve() != path.resolve()]


def exists(last: Path) -> bool:
    """Whether there is a checkpoint to continue from."""
    return last.is_file() or previous_of(last).is_file()


def read_whole(path: Path) -> object:
    """The content of a checkpoint, with every bit as it was written.

    Raises:
        UsageError: it is missing or damaged, or runs code.
    """
    if not path.is_file():
        raise UsageError(f"there is no checkpoint {path}: start another run without --resume")
    if not is_whole(path):
        raise UsageError(f"{path} is damaged: start another run without --resume")
    return read_pickle(path)


def _training_state(path: Path, content: object) -> dict[str, Any]:
    missing = [key for key in _KEYS if not isinstance(content, dict) or key not in content]
    if missing:
        raise UsageError(
            f"{path} is not a checkpoint that training can continue from: it has no "
            f"{', '.join(missing)}"
        )
    assert isinstance(content, dict)
    return content


def _unlink(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _require_readable(checkpoint: dict[str, Any], written: io.BytesIO) -> None:
    """See that a checkpoint can be read without running code, before a run depends on it."""
    if _is_readable(written):
        return
    for key, value in checkpoint.items():
        alone = io.BytesIO()
        torch.save(value, alone)
        if not _is_readable(alone):
            raise ZooError(
                f"the checkpoint could not be read again: it has {_found(value)} under {key!r}. "
                "Let `on_save_checkpoint` and `state_dict` of model, data and callbacks give "
                "tensors, numbers and text of Python, and lists and dicts of them, such as "
                "`float(x)` and `x.tolist()`"
            )


def _is_readable(written: io.BytesIO) -> bool:
    written.seek(0)
    try:
        torch.load(written, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        return False
    return True


def _found(value: Any) -> str:
    """What is in it that is not plain: the type of the first such."""
    inner = value.values() if isinstance(value, dict) else value
    if isinstance(value, (dict, list, tuple)):
        return next((text for each in inner if (text := _found(each))), "")
    if value is None or isinstance(value, torch.Tensor):
        return ""
    kind = type(value)
    return "" if kind.__module__ == "builtins" else f"a {kind.__module__}.{kind.__name__}"
