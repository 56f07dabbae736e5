"""The folder that a command writes into: its own, from the start to the end."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from zoo.errors import UsageError
from zoo.runs.run import discard_folder, require_empty, timed_folder


@contextlib.contextmanager
def output_folder(out: str | Path | None, parent: Path) -> Iterator[Path]:
    """A new folder that no other process writes into; one that stays empty is removed.

    Args:
        out: The folder, which may exist and be empty; None makes one in ``parent``, named after
            the time.
        parent: Where.

    Raises:
        UsageError: the folder is not empty, another process has it, or it cannot be made.
    """
    folder = timed_folder(parent) if out is None else Path(out)
    new = out is None or not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {folder} cannot be made: {error.strerror}") from error
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UsageError(f"another process writes into {folder}: choose another --out") from error
    except (NotImplementedError, OSError) as error:  # some network file systems
        warnings.warn(
            f"{folder} cannot be locked ({error}): let no second process write into it",
            stacklevel=3,
        )
    try:
        require_empty(folder, resumable=False)  # another process may have come and gone
        yield folder
    finally:
        (folder / ".lock").unlink(missing_ok=True)
        lock.release()
        if new and not any(folder.iterdir()):
            discard_folder(folder) if out is None else folder.rmdir()
