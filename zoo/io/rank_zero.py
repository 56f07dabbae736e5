"""One voice of many processes: what the first process alone says, reads and writes."""

from __future__ import annotations

import sys

from lightning.pytorch.utilities import rank_zero_only
from torch import distributed

from zoo.io.printable import printable


def is_rank_zero() -> bool:
    """Whether this is the process that writes and prints, also before the Trainer exists."""
    return getattr(rank_zero_only, "rank", 0) == 0


def rank_zero_print(line: str) -> None:
    """Tell the user something, from the first process alone, on standard error: standard output
    is kept for what a command answers."""
    if is_rank_zero():
        print(printable(line), file=sys.stderr, flush=True)


def is_distributed() -> bool:
    """Whether this process is connected to others."""
    return distributed.is_available() and distributed.is_initialized()
