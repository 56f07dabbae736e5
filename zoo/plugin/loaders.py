"""Data loading whose order and randomness depend on seed and epoch alone.

That is what makes a resumed run end with the weights of one that was never cut, and what makes
several processes see the global batches that one process would see.
"""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, SequentialSampler

from zoo.plugin.arguments import require
from zoo.plugin.endless import EndlessDataset


class EpochSampler(DistributedSampler[Any], SequentialSampler):
    """Shuffles by ``(seed, epoch)``, the same way for any number of processes.

    Lightning calls ``set_epoch`` before every epoch and leaves a ``DistributedSampler`` as it
    is. With ``n`` processes, process ``r`` takes every ``n``-th index of the one order, so the
    global batches are those of a single process with the ``n``-fold batch size.

    For Lightning it is a ``SequentialSampler`` too: with ``overfit_batches`` that says that nothing
    has to be put in its place, which few subclasses of a loader allow.

    Args:
        data: What is sampled from; only its length is used. Of an ``EndlessDataset`` every epoch
            has the numbers that follow those of the epoch before, in order.
        seed: Seed of the order.
        shuffle: False keeps the order of the data, and then no sample is repeated to make the
            processes' shares equal, so that metrics of a test count every sample once.
        weights: How often each sample comes, relative to the others: an epoch is as long as
            without, and a sample is in it as many times as its share says, rounded up or down.

    Raises:
        UsageError: the order is kept and there are fewer samples than processes.
    """

    def __init__(
        self,
        data: Sized,
        seed: int = 0,
        shuffle: bool = True,
        weights: Tensor | None = None,
    ) -> None:
        distributed = dist.is_available() and dist.is_initialized()
        super().__init__(
            data,  # type: ignore[arg-type]
            num_replicas=dist.get_world_size() if distributed else 1,
            rank=dist.get_rank() if distributed else 0,
            shuffle=shuffle,
            seed=seed << 20,  # torch adds the epoch: no two seeds share an order
        )
        if not shuffle:
            require(
                not 0 < len(data) < self.num_replicas,
                f"a part of the data has {len(data)} sample(s), which {self.num_replicas} "
                f"processes cannot share: give --trainer.devices {len(data)}",
            )
            self.num_samples = len(range(self.rank, len(data), self.num_replicas))
            self.total_size = len(data)
        self._weights = weights
        self._endless, self._length = isinstance(data, EndlessDataset), len(data)
        self.start = 0
        """Indices of this process to leave out in the next pass, and only in that."""
        self.pinned = False
        """Whether every epoch is the first."""

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that the order is of."""
        super().set_epoch(0 if self.pinned else epoch)

    def __iter__(self) -> Iterator[Any]:
        start, self.start = self.start, 0
        if self._endless:  # of any length: no list of it is made
            first = self.epoch * self._length
            numbers = range(first + self.rank, first + self.total_size, self.num_replicas)
            return iter(numbers[start:])
        if self._weights is not None:
            indices = self._weighted(self._weights)[self.rank :: self.num_replicas]
        elif self.shuffle:
            indices = list(super().__iter__())
        else:
            indices = list(range(self.rank, self.total_size, self.num_replicas))
        return iter(indices[start:])

    def _weighted(self, weights: Tensor) -> list[int]:
        """The order of an epoch: even steps through the summed weights of the samples in random
        order, so that no sample comes twice more than another of its weight; then shuffled."""
        generator = torch.Generator()
        generator.manual_seed(self.seed + self.epoch)
        order = torch.randperm(len(weights), generator=generator)
        ends = weights.double()[order].cumsum(0)
        steps = torch.arange(self.total_size, dtype=torch.float64)
        steps += torch.rand((), generator=generator, dtype=torch.float64)
        places = torch.searchsorted(ends, steps * (ends[-1] / self.total_size), right=True)
        chosen = order[places.clamp(max=len(order) - 1)]
        shuffled: list[int] = chosen[torch.randperm(len(chosen), generator=generator)].tolist()
        return shuffled


class ResumableLoader(DataLoader[Any]):
    """A DataLoader that Lightning can resume in the middle of an epoch.

    The order comes from an ``EpochSampler`` and the workers' seeds from ``(seed, epoch)``; the
    global random state is not drawn from. Its state is the number of batches handed out.

    Args:
        dataset: A map-style dataset; an ``EndlessDataset`` has new samples in every epoch.
        batch_size: Samples a batch, in each process; None where a sample is a batch.
        seed: Seed of order and workers.
        shuffle: False keeps the order of the data, as for validation and test.
        weights: How often each sample comes; see ``EpochSampler``.
        options: Further arguments of ``torch.utils.data.DataLoader``, without those that the
            sampler decides.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        batch_size: int | None,
        seed: int = 0,
        shuffle: bool = True,
        weights: Tensor | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            dataset,
            batch_size=batch_size,
            sampler=EpochSampler(dataset, seed, shuffle, weights),  # type: ignore[arg-type]
            generator=torch.Generator(),
            **options,
        )
        self._seed = seed
        self._batches = 0

    # A generator function: nothing is drawn before the first batch is asked for, and by then
    # Lightning has told the sampler its epoch.
    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        assert isinstance(self.sampler, EpochSampler)
        assert self.generator is not None
        self._batches = self.sampler.start // (self.batch_size or 1)
        self.generator.manual_seed((self._seed << 32) + self.sampler.epoch)
        for batch in super().__iter__():
            self._batches += 1
            yield batch

    def repeat_first_epoch(self) -> None:
        """Give the batches of the first epoch in every one from now on: all that depends on the
        epoch takes it from the sampler."""
        assert isinstance(self.sampler, EpochSampler)
        self.sampler.pinned = True
        self.sampler.set_epoch(0)

    def state_dict(self) -> dict[str, int]:
        """Position in the epoch, in batches of this process."""
        return {"batches": self._batches}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Let the next pass begin where the state was taken; an ended epoch is not repeated."""
        assert isinstance(self.sampler, EpochSampler)
        done = state["batches"]
        self.sampler.start = 0 if done >= len(self) else done * (self.batch_size or 1)
