"""Out of memory: recognize it, and find by trial what would fit."""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from zoo.plugin import UsageError

_CONTAINERS = Path("/sys/fs/cgroup/memory.max")
"""The bound of a container, by Linux's control groups; "max" without one."""
_SIGNS = (
    "out of memory",  # CUDA
    "not enough memory",  # torch's allocator for the CPU, whose error is a plain RuntimeError
    "can't allocate memory",
    "cudnn_status_alloc_failed",
    "cublas_status_alloc_failed",
    "unable to find an engine",  # cuDNN, where no convolution's workspace fits
)
"""In lower case."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on whatever device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS)


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
    """Bytes of this machine's memory, or of this process's share; None where the system does not
    say."""
    try:
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not POSIX
        return None
    with contextlib.suppress(OSError, ValueError):  # without a container, or a bound in it
        there = min(there, int(_CONTAINERS.read_text(encoding="ascii")))
    return there


def kept_for_backward(network: nn.Module, shape: Sequence[int]) -> int | None:
    """Bytes in float32 that a training step keeps from the forward pass for the backward one.

    Nothing is computed: the net is run on shapes alone.

    Args:
        network: The net.
        shape: Of its input, (N, C, *spatial).

    Returns:
        None of a net that does not run on shapes alone, or keeps what autograd is not told of.
    """
    sizes: dict[int, int] = {}
    kept: list[Tensor] = []  # alive, so that no two are at one address

    def count(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        storage = tensor.untyped_storage()
        sizes[StorageWeakRef(storage).cdata] = storage.nbytes()
        return tensor

    trial = copy.deepcopy(network).to("meta").train()
    image = torch.empty(*shape, device="meta")
    with (
        torch.random.fork_rng(devices=[]),
        torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor),
    ):
        try:
            trial(image)
        except (RuntimeError, NotImplementedError, TypeError, ValueError):
            return None  # it does not run on shapes alone, so nothing is known beforehand
    own = {StorageWeakRef(p.untyped_storage()).cdata for p in trial.parameters()}
    return sum(size for storage, size in sizes.items() if storage not in own)


def require_trainable(
    network: nn.Module, channels: int, batch: int, size: Sequence[int], halved: bool = False
) -> None:
    """Refuse sub-volumes that this machine cannot train on, before any memory is taken.

    Args:
        network: The net, on a CPU; another device says itself when its memory runs out.
        channels: Of its input.
        batch: Sub-volumes at a time.
        size: Their voxels.
        halved: Activations are of 16 bits.

    Raises:
        UsageError: what is kept for the backward pass alone is more than there is; names what
            fits.
    """
    there = physical_memory()
    kept = kept_for_backward(network, (batch, channels, *size))
    if there is None or kept is None or kept / (1 + halved) <= there:
        return
    fits = None
    for smaller, window in halvings(batch, size):
        needed = kept_for_backward(network, (smaller, channels, *window))
        if needed is not None and needed / (1 + halved) <= there:
            fits = smaller, window
            break
    message = (
        f"training on sub-volumes of {format_shape(size)}, {batch} at a time, would keep "
        f"{_bytes(kept // (1 + halved))} for the backward pass, and this machine has "
        f"{_bytes(there)} of memory; "
    )
    if fits is None:
        raise UsageError(message + "no smaller ones fit either: take a smaller network")
    raise UsageError(
        f"{message}{format_shape(fits[1])}, {fits[0]} at a time, fit: --data.patch_size "
        f"'{fits[1]}' --data.batch_size {fits[0]}"
    )


def _bytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB" if count < 1e9 else _gigabytes(count)


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
