"""Batches drawn from experience that grows while they are drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zoo.plugin import EndlessDataset, ResumableLoader


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
        draws = _Draws(gather, draw, iterations, updates)
        super().__init__(draws, batch_size=None, shuffle=False)


class _Draws(EndlessDataset):
    """The batches of all epochs, by their number."""

    def __init__(
        self,
        gather: Callable[[int], None],
        draw: Callable[[int, int], Any],
        iterations: int,
        updates: int,
    ) -> None:
        super().__init__(iterations * updates)
        self._gather, self._draw, self._updates = gather, draw, updates

    def __getitem__(self, number: int) -> Any:
        iteration, update = divmod(number, self._updates)
        self._gather(iteration)
        return self._draw(iteration, update)
