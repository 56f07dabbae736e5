"""The box that a search stays in."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.plugin import UsageError


class Box:
    """Bounds of each coordinate, and which of them are whole numbers.

    A search within bounds goes by fractions of the box's sides, and what lies outside is mirrored
    at the bound, so that the function is never called outside and the search sees no edge.

    Args:
        dimension: Coordinates.
        low: Lower bounds: one for all, or one each; None: no bounds.
        high: Upper bounds.
        integers: Coordinates, counted from 0, that are rounded.
        start: Where a search begins: one number for all, or one each; the middle of the box if
            None, and 0 without bounds.

    Raises:
        UsageError: a number of bounds is wrong, one is not finite or not below the upper one, the
            start is outside, or there is no such coordinate.
    """

    def __init__(
        self,
        dimension: int,
        low: float | Sequence[float] | None = None,
        high: float | Sequence[float] | None = None,
        integers: Sequence[int] = (),
        start: float | Sequence[float] | None = None,
    ) -> None:
        self.dimension = dimension
        if (low is None) != (high is None):
            raise UsageError("give both low and high, or neither: a box has bounds on both sides")
        self.low = None if low is None else _each("low", low, dimension)
        self.high = None if high is None else _each("high", high, dimension)
        if self.low is not None and self.high is not None:
            for place, (below, above) in enumerate(zip(self.low, self.high, strict=True)):
                if not below < above:
                    raise UsageError(
                        f"the bounds of coordinate {place} are the wrong way round: low is "
                        f"{float(below):g} and high is {float(above):g}"
                    )
        for place in integers:
            if not 0 <= place < dimension:
                raise UsageError(
                    f"integers names coordinate {place}; there are 0 to {dimension - 1}"
                )
        self.integers = list(integers)
        self.start = self._start(start)

    def _start(self, given: float | Sequence[float] | None) -> Tensor:
        if self.low is None or self.high is None:
            return _each("start", 0.0 if given is None else given, self.dimension)
        if given is None:
            return (self.low + self.high) / 2
        start = _each("start", given, self.dimension)
        outside = torch.nonzero((start < self.low) | (start > self.high))
        if len(outside):
            place = int(outside[0])
            raise UsageError(
                f"the start {float(start[place]):g} of coordinate {place} lies outside its bounds, "
                f"{float(self.low[place]):g} to {float(self.high[place]):g}"
            )
        return start

    def encode(self, points: Tensor) -> Tensor:
        """Genomes of points within the box."""
        if self.low is None or self.high is None:
            return points
        return (points - self.low) / (self.high - self.low)

    def decode(self, genomes: Tensor) -> Tensor:
        """Points (n, d) within the box, of genomes (n, d)."""
        points = genomes
        if self.low is not None and self.high is not None:
            low, side = self.low.to(genomes), (self.high - self.low).to(genomes)
            inside = 1 - ((genomes % 2) - 1).abs()  # mirrored at 0 and 1, again and again
            points = low + side * inside
        if self.integers:
            points = points.clone()
            points[:, self.integers] = points[:, self.integers].round()
        return points


def _each(name: str, given: float | Sequence[float], dimension: int) -> Tensor:
    numbers = torch.as_tensor(given, dtype=torch.float64)
    if numbers.ndim == 0:
        numbers = numbers.expand(dimension).clone()
    if numbers.shape != (dimension,):
        raise UsageError(
            f"{name} has {len(numbers)} numbers, and there are {dimension} coordinates: give one "
            "for all, or one for each"
        )
    if not bool(numbers.isfinite().all()):
        raise UsageError(f"{name} has a number that is not finite")
    return numbers
