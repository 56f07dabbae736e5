"""What became of a run: whether a process works in it, and how it ended. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from zoo.runs.run import Run

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def is_held(run: Run) -> bool:
    """Whether a process of this machine is training in the run's folder.

    Nothing is written. A lock that another machine holds on a network file system is seen where
    that file system passes locks on.
    """
    return fcntl is not None and _is_locked(run.path / ".lock")


def _is_locked(path: Path) -> bool:
    assert fcntl is not None
    try:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False  # closing the file gives the lock back
    except OSError:  # there is none, or the file system has no locks
        return False
