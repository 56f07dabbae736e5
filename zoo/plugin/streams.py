"""Streams of other people's that are resumed by passing over what was seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader


class ResumableStream(DataLoader[Any]):
    """A DataLoader of an ``IterableDataset`` that continues in the middle of an epoch.

    It begins again and passes over the batches that were handed out, which is exact for a stream
    that is the same every time it is begun. The workers' seeds come from ``(seed, pass)``; the
    global random state is not drawn from.

    Args:
        stream: The loader as its author made it.
        seed: Seed of the workers.
    """

    def __init__(self, stream: DataLoader[Any], seed: int = 0) -> None:
        super().__init__(
            stream.dataset,
            batch_size=stream.batch_size,
            num_workers=stream.num_workers,
            collate_fn=stream.collate_fn,
            pin_memory=stream.pin_memory,
            drop_last=stream.drop_last,
            timeout=stream.timeout,
            worker_init_fn=stream.worker_init_fn,
            multiprocessing_context=stream.multiprocessing_context,
            generator=torch.Generator(),
            prefetch_factor=stream.prefetch_factor,
            persistent_workers=stream.persistent_workers,
        )
        self._seed = seed
        self._passes = self._batches = self._seen = 0

    # A generator function: nothing is drawn before the first batch is asked for.
    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        assert self.generator is not None
        self.generator.manual_seed((self._seed << 32) + self._passes)
        self._passes += 1
        seen, self._seen, self._batches = self._seen, 0, 0
        for batch in super().__iter__():
            self._batches += 1
            if self._batches > seen:
                yield batch

    def state_dict(self) -> dict[str, int]:
        """The pass, and the position in it in batches of this process."""
        return {"passes": self._passes, "batches": self._batches}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Let the next pass be that one, from where the state was taken."""
        self._seen = state["batches"]
        self._passes = state["passes"] - (self._seen > 0)
