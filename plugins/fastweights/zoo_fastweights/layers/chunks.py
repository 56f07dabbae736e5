"""Cutting a sequence into chunks, and leaving float16 alone where a kernel needs more."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.plugin import at_least, require

LONG = 1024
"""Steps of a sequence from which chunks of 64 are faster than chunks of 32 on a CPU."""


def require_steps(x: Tensor) -> int:
    """The number of steps of (..., T, d).

    Raises:
        UsageError: there are none.
    """
    length = x.shape[-2]
    require(length >= 1, "a sequence of no steps has no output: give one step or more")
    return length


def chunk_of(length: int, chunk: int | None) -> int:
    """Steps of a chunk: those that are asked for or 32, of long sequences 64; no more than there
    are in the sequence.

    Raises:
        UsageError: fewer than one is asked for.
    """
    if chunk is not None:
        at_least("chunk", chunk, 1)
    return min(chunk or (64 if length >= LONG else 32), length)


def to_chunks(x: Tensor, chunk: int) -> Tensor:
    """(..., T, d) to (..., N, chunk, d), padded with zeros at the end.

    A written zero key with rate 0 leaves every memory as it was, so that padding changes nothing.

    Args:
        x: One vector a step.
        chunk: Steps of a chunk; any number from 1.
    """
    missing = -x.shape[-2] % chunk
    padded = F.pad(x, (0, 0, 0, missing)) if missing else x
    chunks: Tensor = padded.unflatten(-2, (-1, chunk))
    return chunks


def from_chunks(x: Tensor, length: int) -> Tensor:
    """(..., N, chunk, d) to (..., length, d), without the padding."""
    return x.flatten(-3, -2)[..., :length, :]


def in_full_precision(x: Tensor) -> AbstractContextManager[None]:
    """Where sums over a sequence and triangular solves are computed: outside of autocast."""
    return torch.autocast(x.device.type, enabled=False)


def at_least_float32(*tensors: Tensor) -> list[Tensor]:
    """Tensors in float32 where they are in half precision; there is no half kernel for triangular
    solves, and sums over a sequence would lose what was written first."""
    return [x.float() if x.dtype in (torch.float16, torch.bfloat16) else x for x in tensors]
