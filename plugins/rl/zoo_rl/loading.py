"""Batches drawn from experience that grows while they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import Dataset

from zoo.plugin import EpochSampler, ResumableLoader


class IterationLoader(ResumableLoader):
    """An epoch of iterations: each gathers experience, then hands out batches drawn from it.

    Nothing is prefetched: an iteration's experience is gathered with the policy that all batches
    before have trained. The experience itself belongs in the state of the datamodule, which
    Lightning keeps in every checkpoint; a batch has to depend on it, the iteration and the
    batch's number alone. Then a resumed run continues as if never cut.

    Args:
        gather: Called with the number of the iteration, counted from 0 over all epochs, at its
            beginning; it has to return at once if that iteration's experience is there already.
        draw: From the number of an iteration and that of a batch in it to the batch.
        iterations: In an epoch.
        updates: Batches in an iteration.
    """

    def __init__(
        self,
        gather: Callable[[int], None],
        draw: Callable[[int, int], Any],
        iterations: int,
        updates: int,
    ) -> None:
        self._draws = _Draws(gather, draw, iterations, updates)
        super().__init__(self._draws, batch_size=None, shuffle=False)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        assert isinstance(self.sampler, EpochSampler)
        self._draws.epoch = self.sampler.epoch
        yield from super().__iter__()


class _Draws(Dataset[Any]):
    """The batches of an epoch, by their number in it."""

    def __init__(
        self,
        gather: Callable[[int], None],
        draw: Callable[[int, int], Any],
        iterations: int,
        updates: int,
    ) -> None:
        self._gather, self._draw = gather, draw
        self._iterations, self._updates = iterations, updates
        self.epoch = 0

    def __len__(self) -> int:
        return self._iterations * self._updates

    def __getitem__(self, index: int) -> Any:
        within, number = divmod(index, self._updates)
        iteration = self.epoch * self._iterations + within
        self._gather(iteration)
        return self._draw(iteration, number)
