"""An order of samples that depends on seed and epoch alone, and can be entered in its middle."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

import torch.distributed as dist
from torch.utils.data import DistributedSampler


class EpochSampler(DistributedSampler):
    """Shuffles by ``(seed, epoch)``, the same way for any number of processes.

    Lightning calls ``set_epoch`` before every epoch and leaves a ``DistributedSampler`` as it
    is. With ``n`` processes, process ``r`` takes every ``n``-th index of the one order, so the
    global batches are those of a single process with the ``n``-fold batch size.

    Args:
        data: What is sampled from; only its length is used.
        seed: Seed of the order.
        shuffle: False keeps the order of the data.
        drop_last: Drop the tail that does not divide among the processes instead of
            repeating samples.
    """

    def __init__(
        self, data: Sized, seed: int = 0, shuffle: bool = True, drop_last: bool = False
    ) -> None:
        distributed = dist.is_available() and dist.is_initialized()
        super().__init__(
            data,  # type: ignore[arg-type]
            num_replicas=dist.get_world_size() if distributed else 1,
            rank=dist.get_rank() if distributed else 0,
            shuffle=shuffle,
            seed=seed,
            drop_last=drop_last,
        )
        self._start = 0

    def skip(self, samples: int) -> None:
        """Leave out the first ``samples`` indices of this process in the next pass only."""
        self._start = samples

    def __iter__(self) -> Iterator[Any]:
        start, self._start = self._start, 0
        indices = list(super().__iter__())
        return iter(indices[start:])
