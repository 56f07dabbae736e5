"""Learning rate schedulers of torch as factors on the learning rate."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from zoo.errors import UsageError

_LENGTHS = ("T_max", "total_iters", "total_steps")
"""What schedulers call the number of steps."""
_INSTEAD = (
    "name another, or a function of yours that takes total_steps and warmup and returns the factor "
    "at a step"
)


def is_scheduler(named: object) -> bool:
    """Whether it is a class of schedulers."""
    return inspect.isclass(named) and issubclass(named, LRScheduler)


def require_scheduler(name: str, cls: Any) -> None:
    """Require that a scheduler needs no more than the length of the training.

    Raises:
        UsageError: it needs something else.
    """
    if issubclass(cls, ReduceLROnPlateau):
        raise UsageError(f"the schedule {name!r} goes by a metric, not by steps: {_INSTEAD}")
    needed = [
        each.name
        for each in inspect.signature(cls).parameters.values()
        if each.default is each.empty and each.name not in ("optimizer", "max_lr", *_LENGTHS)
    ]
    if needed:
        raise UsageError(
            f"the schedule {name!r} needs {' and '.join(needed)}, which follows from no length of "
            f"a training: {_INSTEAD}"
        )


def scheduler_factor(
    name: str, cls: Any, total_steps: float, warmup: float
) -> Callable[[int], float]:
    """From the number of an optimizer step to the factor that the scheduler has there.

    Args:
        name: Its path, for messages.
        cls: A class that ``require_scheduler`` takes.
        total_steps: Optimizer steps of the whole training.
        warmup: For ``pct_start``, where it has that.

    Raises:
        UsageError: it needs an end and the training has none, or refuses its arguments.
    """
    require_scheduler(name, cls)
    taken = inspect.signature(cls).parameters
    lengths = {each: total_steps for each in _LENGTHS if each in taken}
    if lengths and not math.isfinite(total_steps):
        raise UsageError(
            f"schedule {name!r} has to know when training ends; set trainer.max_epochs or "
            "trainer.max_steps"
        )
    chosen = {"max_lr": 1.0, "pct_start": warmup, "cycle_momentum": False}
    arguments: dict[str, Any] = {key: max(int(total_steps), 1) for key in lengths}
    arguments |= {key: value for key, value in chosen.items() if key in taken}
    optimizer = torch.optim.SGD([torch.zeros(())], lr=1.0)
    try:
        scheduler: LRScheduler = cls(optimizer, **arguments)
    except (TypeError, ValueError) as error:
        raise UsageError(f"the schedule {name!r} refuses its arguments: {error}") from error
    factors = [float(scheduler.get_last_lr()[0])]
    most = total_steps if lengths else math.inf

    def factor(step: int) -> float:
        wanted = min(step, most)
        with warnings.catch_warnings():  # no optimizer steps here
            warnings.simplefilter("ignore")
            while len(factors) <= wanted:
                if len(factors) >= arguments.get("total_steps", math.inf):  # it would refuse
                    factors.append(factors[-1])
                    continue
                scheduler.step()
                factors.append(float(scheduler.get_last_lr()[0]))
        return factors[int(wanted)]

    return factor
