"""Out of memory: recognize it, and find by trial what would fit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

import torch

from zoo.plugin import UsageError

_SIGNS = ("out of memory", "not enough memory", "can't allocate memory")
"""Of CUDA, and of torch's allocator for the CPU, whose error is a plain RuntimeError."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on whatever device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def halvings(batch: int, size: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """Ever smaller batches, down to 1, and then ever smaller windows, their longest axis halved."""
    window = list(size)
    while batch > 1:
        batch //= 2
        yield batch, list(window)
    while max(window) > 1:
        longest = window.index(max(window))
        window[longest] //= 2
        yield batch, list(window)


def first_that_fits(
    work: Callable[[int, list[int]], object], batch: int, size: Sequence[int]
) -> tuple[int, list[int]] | None:
    """The first of the halvings on which the work can be done, or None.

    Args:
        work: Takes a batch size and a window; it may also fail because the network does not take
            a window of that size.
        batch: What did not fit.
        size: The window that did not.
    """
    for smaller in halvings(batch, size):
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            work(*smaller)
        except (RuntimeError, ValueError, MemoryError):
            continue
        return smaller
    return None


def format_shape(size: Sequence[int]) -> str:
    """A size in words: 15x128x128."""
    return "x".join(map(str, size))


def physical_memory() -> int | None:
    """Bytes of this machine's memory; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not POSIX
        return None


def require_memory(needed: int, what: str, remedy: str) -> None:
    """Refuse what cannot fit before any of it is taken.

    Args:
        needed: Bytes.
        what: What needs them, for the message: ``scan.nii: its 30000x30000x30000 voxels``.
        remedy: What to do.

    Raises:
        UsageError: this machine has less.
    """
    there = physical_memory()
    if there is not None and needed > there:
        raise UsageError(
            f"{what} would take {_gigabytes(needed)}, and this machine has {_gigabytes(there)} of "
            f"memory; {remedy}"
        )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.3g} GB" if count < 1e12 else f"{count / 1e9:,.0f} GB"
