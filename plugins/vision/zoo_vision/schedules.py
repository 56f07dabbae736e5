"""The learning rate schedule of Ciresan et al. 2012, beside the zoo's own."""

from __future__ import annotations

from collections.abc import Callable

from zoo.plugin import one_of, optim

SCHEDULES = (*optim.SCHEDULES, "exponential")


def schedule(
    name: str,
    total_steps: float,
    epoch: Callable[[int], int],
    warmup: float = 0.2,
    decay: float = 0.993,
    floor: float = 0.03,
) -> optim.Factor:
    """The factor on the learning rate at every optimizer step.

    Args:
        name: One of ``zoo.plugin.optim.schedule``, or ``exponential``: ``max(decay^epoch,
            floor)``, a step down every epoch, as in Ciresan et al. 2012.
        total_steps: Optimizer steps of the whole training.
        epoch: From the number of a step to that of its epoch, as ``zoo.plugin.optim.EpochSteps``
            gives it.
        warmup: Part of the steps in which ``onecycle`` goes up.
        decay: Factor an epoch of ``exponential``.
        floor: Smallest factor of ``exponential``.

    Raises:
        UsageError: there is no such schedule, or it needs an end and the training has none.
    """
    if "." not in name:  # otherwise the path of a class
        one_of("schedule", name, SCHEDULES)
    if name == "exponential":
        return lambda step: max(decay ** epoch(step), floor)
    return optim.schedule(name, total_steps, warmup)
