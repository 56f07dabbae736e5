"""Fetch one file: bounded, verified, continued where it was cut, by one process at a time."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import shutil
import time
import urllib.error
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

from filelock import FileLock, Timeout

from zoo.bundles.paced_http import Patience, open_url
from zoo.errors import ZooError

PATIENCE = Patience()
MAX_WAIT = 600.0
"""Seconds to wait for a process that holds a file's lock while the file does not grow."""
_CHUNK = 1 << 20


def fetch(url: str, path: Path, sha256: str, limit: int) -> None:
    """Download a file once; an interrupted download is continued, a wrong one never kept.

    Of several processes that want the same file one downloads it, and the others wait for it.

    Args:
        url: Where it is.
        path: Where it goes. Nothing is downloaded if it is there with the right hash.
        sha256: Its hash, in hexadecimal.
        limit: Its size in bytes, or what it may have at most.

    Raises:
        ZooError: the address does not answer, too slowly, or with something else, or the disk
            does not take the file.
    """
    try:
        if _is_there(path, sha256):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        with _one_process(path, part):
            if not _is_there(path, sha256):  # another process may have fetched it
                _download(url, part, sha256, limit)
                part.replace(path)
    except OSError as error:
        raise ZooError(
            f"{path} cannot be written ({error.strerror or error}): make room there, or set "
            "ZOO_CACHE to a folder that can be written"
        ) from error


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_there(path: Path, sha256: str) -> bool:
    return path.is_file() and file_hash(path) == sha256


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:  # another process has just renamed it
        return 0


@contextlib.contextmanager
def _one_process(path: Path, part: Path) -> Iterator[None]:
    """Hold the lock of a file, which ends with the process that has it."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    size, since = -1, time.monotonic()
    while True:
        try:
            lock.acquire(timeout=min(1.0, MAX_WAIT))
            break
        except Timeout as error:
            if size < 0:
                from zoo.io.rank_zero import rank_zero_print  # it brings lightning

                rank_zero_print(f"another process is downloading {path}: waiting for it")
            if _size(part) != size:
                size, since = _size(part), time.monotonic()
            elif time.monotonic() - since > MAX_WAIT:
                raise ZooError(
                    f"another process holds {lock.lock_file} and has not continued the download "
                    f"for {MAX_WAIT:.0f} seconds: stop that process and try again"
                ) from error
        except NotImplementedError as error:  # some network file systems
            raise OSError(f"it cannot be locked: {error}") from error
    try:
        yield
    finally:
        lock.release()


def _download(url: str, part: Path, sha256: str, limit: int) -> None:
    """Leave the verified file in ``part``."""
    have = _size(part)
    if have > limit:
        part.unlink()
        have = 0
    free = shutil.disk_usage(part.parent).free
    if limit - have > free:
        raise ZooError(
            f"{url} may have {limit} bytes and {part.parent} has room for {free}: make room "
            "there, or set ZOO_CACHE to a folder on a larger disk"
        )
    if answer := _ask(url, have, limit):
        with answer:
            _save(url, answer, part, have, limit)
    elif file_hash(part) != sha256:  # there is nothing after what we have, and that is not it
        part.unlink()
        _download(url, part, sha256, limit)
        return
    if (found := file_hash(part)) != sha256:
        part.unlink()
        raise ZooError(
            f"{url} has the hash {found}, not {sha256}: it was changed or damaged, and was not kept"
        )


def _ask(url: str, have: int, limit: int) -> http.client.HTTPResponse | None:
    """The answer with what comes after the first ``have`` bytes; None if nothing does."""
    with _network_errors(url):
        try:
            span = {"Range": f"bytes={have}-"} if have else {}
            return open_url(url, span, PATIENCE, limit)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
                return None
            raise ZooError(
                f"{url} answers {_status(error.code)}{_HINTS.get(error.code // 100, '')}"
            ) from error


_HINTS = {
    3: ", a redirect in a circle or to what is not an http address: check the address",
    4: ": check the address",
    5: ", an error of that server: try again later",
}


def _status(code: int) -> str:
    """The standard's words for a status: those of the server may be anything."""
    known = {status.value: status.phrase for status in HTTPStatus}
    return f"{code} {known.get(code, '')}".strip()


@contextlib.contextmanager
def _network_errors(url: str) -> Iterator[None]:
    """Say what is wrong with the network; URLErrors and time-outs are OSErrors."""
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = " ".join(str(getattr(error, "reason", error)).split())[:200]
        reason = "".join(c if c.isprintable() else "?" for c in reason)  # the server's words
        raise ZooError(
            f"{url} cannot be fetched ({reason or type(error).__name__}): check the address and "
            "the network; what came so far is kept and continued"
        ) from error


def _save(url: str, answer: http.client.HTTPResponse, part: Path, have: int, limit: int) -> None:
    """Write what comes, up to the limit."""
    if answer.status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        raise ZooError(f"{url} answers {_status(answer.status)}, and no file: check the address")
    start = have if answer.status == HTTPStatus.PARTIAL_CONTENT else 0
    if not answer.headers.get("Content-Range", f"bytes {start}-").startswith(f"bytes {start}-"):
        part.unlink(missing_ok=True)
        raise ZooError(f"{url} answers with another part of the file than was asked for: try again")
    length = None if answer.chunked else _stated_length(url, answer)
    size = start
    too_long = ZooError(
        f"{url} is longer than the {limit} bytes that are expected, and was not kept: it is "
        "another file, or its server is broken; check the address"
    )
    if length is not None and start + length > limit:
        raise too_long
    with part.open("ab" if start else "wb") as file:
        while True:
            with _network_errors(url):
                chunk = answer.read1(_CHUNK)
            size += len(chunk)
            if not chunk or size > limit:
                break
            file.write(chunk)
    if size > limit:
        part.unlink()
        raise too_long
    if length is not None and size < start + length:  # a closed connection alone raises nothing
        missing = start + length - size
        with _network_errors(url):
            raise ConnectionError(f"the connection was cut {missing} bytes before the end")


def _stated_length(url: str, answer: http.client.HTTPResponse) -> int | None:
    stated = set(answer.headers.get_all("Content-Length", []))
    if not stated:
        return None
    text = stated.pop()
    if stated or not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise ZooError(
            f"{url} answers with a Content-Length that is not a number of bytes: its server is "
            "broken; try another address"
        )
    return int(text)
