"""Where the trials of a sweep are kept: Optuna's journal file, SQLite or PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from sqlalchemy.exc import SQLAlchemyError

from zoo.errors import MissingDependencyError, UsageError, ZooError, install_hint
from zoo.experiments.locks import lockable
from zoo.io.failures import one_line, system_failure
from zoo.runs.environment import without_password

JOURNAL = "journal.log"
"""The storage of a sweep that names none, in its folder."""
_PATIENCE = 60.0
"""Seconds in which a storage has to answer when it is opened."""
_CONNECT = 10
"""Seconds for one connection to a server."""
_BUSY = 60
"""Seconds to wait for other processes that write to one SQLite file."""
_TRIES = 4


class StorageGoneError(ZooError):
    """The storage stopped answering while a sweep ran; the sweep can be continued."""


def is_server(storage: str) -> bool:
    """Whether a storage is an address, and not the path of a journal file."""
    return "://" in storage


def open_storage(storage: str) -> BaseStorage:
    """Open a storage, or make it.

    Args:
        storage: ``sqlite:///trials.db``, ``postgresql://user@host/database``, or the path of a
            journal file.

    Raises:
        UsageError: it is of another kind, does not answer in time, or cannot be used.
        MissingDependencyError: the driver of PostgreSQL is not installed.
    """
    shown = without_password(storage)
    make = _database(storage, shown) if is_server(storage) else _journal(Path(storage).absolute())
    return _in_time(make, shown)


@contextlib.contextmanager
def answering(storage: str) -> Iterator[None]:
    """Around the use of an open storage.

    Raises:
        StorageGoneError: it does not answer any more.
    """
    try:
        yield
    except (StorageInternalError, SQLAlchemyError, OSError) as error:
        raise StorageGoneError(
            f"the storage {without_password(storage)} does not answer any more "
            f"({_reason(error)}): the same command continues the sweep"
        ) from error


def _journal(path: Path) -> Callable[[], BaseStorage]:
    def make() -> BaseStorage:
        if not path.parent.is_dir():
            raise UsageError(f"there is no folder {path.parent} for the storage {path.name}")
        if path.is_dir():
            raise UsageError(f"the storage {path} is a folder: name a file")
        lock = _ProcessLock(path)
        if path.is_file():
            _drop_torn_line(path, lock)
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))

    return make


class _ProcessLock(JournalFileOpenLock):
    """A lock that ends with its process: for Optuna's own, after a kill, others wait."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._lock = FileLock(f"{path}.lock")

    def acquire(self) -> bool:
        with lockable(Path(self._lock.lock_file).parent):
            self._lock.acquire()
        return True

    def release(self) -> None:
        self._lock.release()


def _drop_torn_line(path: Path, lock: JournalFileOpenLock) -> None:
    """A machine that lost power can leave half of a line, with which the next would be joined."""
    with path.open("rb+") as file:
        if _ends_well(file):
            return
        lock.acquire()
        try:
            if not _ends_well(file):
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
        finally:
            lock.release()


def _ends_well(file: Any) -> bool:
    if file.seek(0, os.SEEK_END) == 0:
        return True
    file.seek(-1, os.SEEK_END)
    return bool(file.read(1) == b"\n")


def _database(storage: str, shown: str) -> Callable[[], BaseStorage]:
    scheme, _, rest = storage.partition("://")
    options: dict[str, Any]
    if scheme == "sqlite":
        path = Path(rest.removeprefix("/").partition("?")[0])
        if not rest.startswith("/") or not path.name:
            raise UsageError(f"the storage {shown} names no file: write sqlite:///trials.db")
        if not path.parent.is_dir():
            raise UsageError(f"there is no folder {path.parent} for the storage {shown}")
        options = {"connect_args": {"timeout": _BUSY}}
    elif scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        try:
            import psycopg  # noqa: F401
        except ImportError as error:
            raise MissingDependencyError(
                f"the storage {shown} needs psycopg, which is not installed: "
                + install_hint("zoo[postgresql]")
            ) from error
        storage = f"postgresql+psycopg://{rest}"
        options = {"connect_args": {"connect_timeout": _CONNECT}, "pool_pre_ping": True}
    else:
        raise UsageError(
            f"the storage {shown} is of a kind that is not known: use sqlite:///FILE, "
            "postgresql://USER@HOST/DATABASE, or the path of a journal file"
        )
    return lambda: RDBStorage(storage, engine_kwargs=options)


def _in_time(make: Callable[[], BaseStorage], shown: str) -> BaseStorage:
    """Open in a thread: a server can be silent in more ways than its driver has limits for."""
    found: list[BaseStorage] = []
    failed: list[Exception] = []

    def attempt() -> None:
        try:
            found.append(_repeated(make))
        except Exception as error:  # noqa: BLE001  # of drivers, raised again below
            failed.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    if found:
        return found[0]
    error = failed[0] if failed else None
    if isinstance(error, ZooError):
        raise error
    if isinstance(error, OSError):
        raise UsageError(system_failure(error, f"the storage {shown} cannot be used")) from error
    reason = _reason(error) if error else f"nothing came within {_PATIENCE:.0f} seconds"
    raise UsageError(
        f"the storage {shown} does not answer ({reason}): see whether its server runs and the "
        "address is right"
    ) from error


def _repeated(make: Callable[[], BaseStorage]) -> BaseStorage:
    """Processes that start together make the same tables, and all but the first of them fail."""
    for attempt in range(_TRIES):
        try:
            return make()
        except SQLAlchemyError as error:
            together = any(sign in str(error).lower() for sign in ("exist", "unique", "duplicate"))
            if attempt == _TRIES - 1 or not together:
                raise
            time.sleep(0.2 * (attempt + 1))
    raise AssertionError


def _reason(error: BaseException) -> str:
    """The first line of what a driver says; the rest are statements and addresses of pages."""
    original = getattr(error, "orig", None) or error.__cause__ or error
    original = getattr(original, "orig", None) or original
    return one_line(original).partition(" (Background on this error")[0][:300] or "no reason given"
