"""What is minimized: a function, in a box, rebuilt from its description."""

from __future__ import annotations

from torch import Tensor

from zoo.plugin import UsageError, at_least, one_of
from zoo_evolution.objectives.box import Box
from zoo_evolution.objectives.callables import UserFunction
from zoo_evolution.objectives.functions import FUNCTIONS


class Objective:
    """A function and the box that it is minimized in.

    Args:
        function: A name of ``functions.FUNCTIONS``, or where a user's function is.
        dimension: Coordinates.
        low: Of ``Box``.
        high: Of ``Box``.
        integers: Of ``Box``.
        start: Of ``Box``; the function's own start if None.
        workers: Processes that call a user's function; 0 calls it in this one.

    Raises:
        UsageError: an argument is out of its range, or there is no such function.
    """

    def __init__(
        self,
        function: str,
        dimension: int,
        low: float | list[float] | None = None,
        high: float | list[float] | None = None,
        integers: list[int] | None = None,
        start: float | list[float] | None = None,
        workers: int = 0,
    ) -> None:
        at_least("dimension", dimension, 1)
        self.name = function
        known = FUNCTIONS.get(function)
        if known is None and ":" not in function:
            one_of("function", function, [*FUNCTIONS, "package.module:function"])
        if function == "lennard-jones" and dimension % 3:
            raise UsageError(
                f"the dimension of lennard-jones is three for each atom; {dimension} is not"
            )
        if start is None and low is None and known is not None:
            start = known[1]
        self.box = Box(dimension, low, high, integers or (), start)
        self._user = None if known else UserFunction(function, workers)
        self._known = known[0] if known else None

    def values(self, points: Tensor) -> Tensor:
        """Values float64 (n,) of points (n, d), NaN where there is none."""
        if self._user is not None:
            return self._user(points)
        assert self._known is not None
        return self._known(points.double())

    def probe(self) -> None:
        """Refuse a user's function that does not return a number where a search begins."""
        if self._user is not None:
            self._user.probe(self.box.decode(self.box.encode(self.box.start)[None])[0])

    def close(self) -> None:
        """End processes that call it."""
        if self._user is not None:
            self._user.close()
