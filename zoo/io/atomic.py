"""Writing files so that a crash, a full disk or a kill leaves the old content in place."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO


def write_atomically(
    path: Path,
    content: bytes | Callable[[BinaryIO], None],
    durable: bool = True,
    keep: Path | None = None,
) -> None:
    """Write to a temporary file next to the target, then rename it over the target.

    Args:
        path: The target; its folder is made.
        content: The bytes, or a function that writes them to an open file.
        durable: Flush to the disk before renaming, so that a power cut leaves one of the two.
        keep: A name in the same folder under which the old content stays. Between the two
            renames there is nothing under ``path``.

    Raises:
        OSError: the disk is full or the folder cannot be written; the target is as before, and
            the error names it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        if keep is not None and path.is_file():
            path.replace(keep)
        temporary.replace(path)
    except OSError as error:
        if error.errno and error.filename is None:  # of a write, which knows no names
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        sync_folder(path.parent)


def replace_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of files to a temporary one next to it, then rename that in one step.

    Args:
        path: The folder; what was in it before is gone only after the new one is complete.
        files: Content by name.

    Raises:
        OSError: the disk is full or the place cannot be written; the folder is as before.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    previous = path.with_name(f".{path.name}.{os.getpid()}.old")
    try:
        for name, data in files.items():
            write_atomically(temporary / name, data)
        if path.exists() and not _exchange(temporary, path):
            path.rename(previous)
        if not path.exists():
            temporary.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        if error.errno:
            error.filename = str(path)  # not the temporary one
        raise
    finally:
        if previous.exists() and not path.exists():
            previous.rename(path)
        for leftover in (temporary, previous):
            shutil.rmtree(leftover, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders swap their names in one step; False where the system cannot."""
    here, linux_exchange, macos_swap = -100, 2, 2  # AT_FDCWD, RENAME_EXCHANGE, RENAME_SWAP
    names = os.fsencode(one), os.fsencode(other)
    done: int
    with contextlib.suppress(AttributeError, TypeError, OSError):
        system = ctypes.CDLL(None)
        if sys.platform == "darwin":
            done = system.renamex_np(*names, macos_swap)
        else:
            done = system.renameat2(here, names[0], here, names[1], linux_exchange)
        return done == 0
    return False


def leftovers(folder: Path) -> list[Path]:
    """Temporary files and folders in ``folder`` of writers that were killed."""
    return sorted(folder.glob(".*.tmp")) if folder.is_dir() else []


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of writers that were killed in ``folder`` and its folders.

    A folder that was moved aside by ``replace_folder``, and whose place was not taken any more,
    comes back.
    """
    for inside in (folder, *(path for path in folder.glob("*") if path.is_dir())):
        for aside in sorted(inside.glob(".*.old")):
            place = inside / aside.name[1:].rpartition(".")[0].rpartition(".")[0]
            if not place.exists():
                aside.rename(place)
        for path in [*leftovers(inside), *inside.glob(".*.old")]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make renames in the folder durable, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
