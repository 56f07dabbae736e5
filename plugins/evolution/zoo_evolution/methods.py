"""Optimizers by name, made from a recipe's options."""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor

from zoo.plugin import UsageError, nearest, one_of
from zoo_evolution.optimizers import (
    ENES,
    PGPE,
    SNES,
    XNES,
    Cne,
    Cosyne,
    Esp,
    OpenES,
    Optimizer,
    RandomSearch,
)

METHODS: dict[str, type[Optimizer]] = {
    "snes": SNES,
    "xnes": XNES,
    "enes": ENES,
    "pgpe": PGPE,
    "open-es": OpenES,
    "cosyne": Cosyne,
    "esp": Esp,
    "cne": Cne,
    "random-search": RandomSearch,
}
_GIVEN = {"self", "start", "seed", "dtype", "device", "neurons"}


def make_optimizer(
    name: str,
    start: Tensor,
    seed: int,
    options: dict[str, Any],
    neurons: Tensor | None = None,
) -> Optimizer:
    """An optimizer of ``METHODS``.

    Args:
        name: Its name.
        start: Where the search begins (d,).
        seed: Of its random numbers.
        options: Arguments of its constructor.
        neurons: Where each neuron's weights lie (neurons, weights), for methods that evolve
            neurons; None where the net is not cut that way.

    Raises:
        UsageError: there is none of that name, it does not take an option, an option is out of its
            range, or it evolves neurons and there are none.
    """
    require_options(name, options)
    cls = METHODS[name]
    given = dict(options)
    if "neurons" in inspect.signature(cls).parameters:
        if neurons is None:
            raise UsageError(
                f"{name} evolves neurons, and these weights are not cut into neurons: take policy "
                "recurrent, or elman with bias: false, and encoding direct"
            )
        given["neurons"] = neurons
    return cls(start, seed=seed, **given)


def require_options(name: str, options: dict[str, Any]) -> None:
    """Refuse a name or options that there are not.

    Raises:
        UsageError: names the nearest there is.
    """
    one_of("optimizer", name, METHODS)
    known = [each for each in inspect.signature(METHODS[name]).parameters if each not in _GIVEN]
    for option in options:
        if option not in known:
            near = nearest(option, known, 1)
            hint = f"did you mean {near}?" if near else f"it has {', '.join(known)}"
            raise UsageError(f"the optimizer {name} has no option {option!r}; {hint}")
