"""Optimisers and learning rate schedules by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn

from zoo.errors import UsageError

OPTIMIZERS = ("adamw", "sgd", "nesterov")
SCHEDULES = ("constant", "onecycle", "cosine", "exponential")


def optimizer(
    name: str,
    parameters: Iterable[tuple[str, nn.Parameter]],
    lr: float,
    momentum: float,
    weight_decay: float,
    head: Sequence[str] = (),
    lr_backbone: float | None = None,
) -> torch.optim.Optimizer:
    """Build an optimiser; weight decay is for weights alone, not for biases and norms.

    Args:
        name: ``adamw``, ``sgd`` or ``nesterov``.
        parameters: What to train, with names, as ``module.named_parameters()`` gives it.
        lr: Learning rate.
        momentum: Momentum of ``sgd`` and ``nesterov``.
        weight_decay: Decoupled for ``adamw``, L2 for the others.
        head: Submodules that take ``lr`` where the rest takes another.
        lr_backbone: Learning rate of everything outside ``head``; ``lr`` if None.

    Raises:
        UsageError: there is no such optimiser.
    """
    # Frozen ones too: they have no gradient and are passed over until they are thawed.
    trained = list(parameters)
    kinds: dict[tuple[float, float], list[nn.Parameter]] = {}
    for path, parameter in trained:
        inside = lr_backbone is None or any(path.startswith(f"{part}.") for part in head)
        rate = lr if inside or lr_backbone is None else lr_backbone
        decay = weight_decay if _decays(path, parameter) else 0.0
        kinds.setdefault((rate, decay), []).append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": chosen, "lr": rate, "weight_decay": decay}
        for (rate, decay), chosen in kinds.items()
    ]
    # One kernel for all parameters, where torch has it: small nets are bound by such overhead.
    fused = all(p.device.type in ("cpu", "cuda") for _, p in trained)
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=lr, fused=fused)
    if name in ("sgd", "nesterov"):
        nesterov = name == "nesterov" and momentum > 0
        return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov, fused=fused)
    raise UsageError(f"unknown optimizer {name!r}; there are {', '.join(OPTIMIZERS)}")


def _decays(path: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim > 1 and not path.endswith("bias")


def schedule(
    name: str,
    total_steps: float,
    steps_per_epoch: float,
    warmup: float = 0.2,
    decay: float = 0.993,
    floor: float = 0.03,
) -> Callable[[int], float]:
    """The factor on the learning rate at every optimiser step.

    Args:
        name: ``constant``. ``onecycle``: linear up from 1/25 over the first ``warmup`` of the
            steps, then half a cosine down to 1e-4. ``cosine``: half a cosine down to 0.
            ``exponential``: ``max(decay^epoch, floor)``, a step down every epoch, as in Ciresan
            et al. 2012.
        total_steps: Optimiser steps of the whole training.
        steps_per_epoch: Optimiser steps of an epoch.
        warmup: Part of the steps in which ``onecycle`` goes up.
        decay: Factor an epoch of ``exponential``.
        floor: Smallest factor of ``exponential``.

    Raises:
        UsageError: there is no such schedule, or it needs an end and the training has none.
    """
    if name == "constant":
        return lambda step: 1.0
    if name == "exponential":
        return lambda step: max(decay ** (step // max(steps_per_epoch, 1)), floor)
    if name not in SCHEDULES:
        raise UsageError(f"unknown schedule {name!r}; there are {', '.join(SCHEDULES)}")
    if not math.isfinite(total_steps):
        raise UsageError(
            f"schedule {name!r} has to know when training ends; set trainer.max_epochs or "
            "trainer.max_steps, or take the schedule 'constant' or 'exponential'"
        )
    if name == "cosine":
        return lambda step: _half_cosine(step / max(total_steps, 1))
    rise = max(warmup * total_steps, 1.0)

    def onecycle(step: int) -> float:
        if step < rise:
            return 0.04 + 0.96 * step / rise
        return max(_half_cosine((step - rise) / max(total_steps - rise, 1.0)), 1e-4)

    return onecycle


def _half_cosine(progress: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
