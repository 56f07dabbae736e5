"""Errors of the system, a disk's and an allocator's, as sentences: what, where, and what to do."""

from __future__ import annotations

import errno
import os
import re

_REMEDIES = {
    errno.ENOSPC: "make room there, or choose another place",
    errno.EDQUOT: "make room within your quota of that disk, or choose another place",
    errno.EROFS: "choose another place, that disk can only be read",
    errno.EACCES: "choose another place, or change its permissions",
    errno.EPERM: "choose another place, or change its permissions",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EILSEQ: "choose another name, that disk does not take it",
    errno.ENOENT: "look whether the path is right, or was removed meanwhile",
    errno.ENOTDIR: "choose another path, a part of it is a file",
    errno.EISDIR: "choose another path, this is a folder",
    errno.ELOOP: "choose another path, its links lead in a circle",
    errno.EIO: "look into the system's log whether the disk fails, or choose another place",
    errno.ESTALE: "connect the network disk again",
    errno.EMFILE: "raise `ulimit -n`, or use fewer workers",
    errno.ENFILE: "close other programs that hold files open",
    errno.ENOMEM: "close other programs, or use smaller values",
}
_SIGNS = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "Storage size calculation overflowed",
    "Overflow when unpacking",
    "Maximum allowed dimension exceeded",
    "array is too big",
)
"""Of torch's and numpy's allocators, whose errors are a RuntimeError, a TypeError, a ValueError."""
_TRACE = re.compile(r"\s*(?:Exception raised from |frame #\d+: |C\+\+ CapturedTraceback)")


def system_failure(error: OSError, what: str = "") -> str:
    """An error of the system as a sentence.

    Args:
        error: The error.
        what: What could not be done, for an error that names no file: ``the bundle b cannot be
            written``.

    Returns:
        The path, what is wrong with it, and what to do; ``what`` before it, if given.
    """
    number = error.errno or 0
    said = error.strerror or str(error) or "no reason is given"
    reason = ": ".join(filter(None, (said, _REMEDIES.get(number))))
    paths = [
        os.fsdecode(p) for p in (error.filename, error.filename2) if isinstance(p, str | bytes)
    ]
    where = " and ".join(_short(path) for path in paths)
    start = ": ".join(filter(None, (what, where)))
    return f"{start}: {reason}" if start else reason


def asks_too_much(error: BaseException) -> bool:
    """Whether an error says that memory was asked for which there is not, or that no machine has;
    an ``OverflowError`` says so too, where a size is the only large number."""
    if isinstance(error, MemoryError | OverflowError):
        return True
    return any(sign in str(error) for sign in _SIGNS)


def one_line(error: BaseException) -> str:
    """What an error says, in one line and without a trace of the frames of C++."""
    return " ".join(_TRACE.split(str(error), maxsplit=1)[0].split())


def _short(path: str) -> str:
    """A path of thousands of letters, the reason of an error itself, by both of its ends."""
    return path if len(path) <= 200 else f"{path[:100]}...{path[-60:]}"
