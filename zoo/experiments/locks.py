"""Locks that end with the process that holds them, among all that see one folder."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process changes what a folder's processes share, and keep them out."""
    lock = FileLock(folder / ".lock")
    with lockable(folder):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def try_lock(path: Path) -> FileLock | None:
    """The lock; None if another process holds it."""
    lock = FileLock(path)
    try:
        with lockable(path.parent):
            lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


@contextlib.contextmanager
def lockable(folder: Path) -> Iterator[None]:
    """Around the taking of a lock in a folder: where there are none, its user is told."""
    try:
        yield
    except Timeout:
        raise
    except (NotImplementedError, OSError) as error:  # some network file systems
        warnings.warn(
            f"{folder} cannot be locked ({error}): let no second process share it",
            stacklevel=4,
        )
