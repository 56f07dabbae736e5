"""Optimizers and learning rate schedules by name, as most models of the zoo want them.

Any other is named by its path, such as ``torch.optim.RAdam``, if the model's constructor asks by
``require_optimizer`` and ``require_schedule``.
"""

from __future__ import annotations

import inspect
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn

from zoo.errors import UsageError
from zoo.io.weights import in_head
from zoo.plugin._lightning_internals import attached_trainer, training_batches
from zoo.plugin.counters import count
from zoo.plugin.named import find_named, require_named
from zoo.plugin.schedulers import is_scheduler, require_scheduler, scheduler_factor
from zoo.plugin.stopping import budgets

OPTIMIZERS = ("adamw", "sgd", "nesterov")
SCHEDULES = ("constant", "onecycle", "cosine")

Factor = Callable[[int], float]
"""From the number of an optimizer step to the factor on the learning rate."""


def require_optimizer(name: str, known: Sequence[str] = OPTIMIZERS) -> None:
    """Require an optimizer's name, or the path of its class; for constructors.

    Args:
        name: What was given.
        known: The names.

    Raises:
        UsageError: there is no such optimizer.
    """
    require_named("optimizer", name, known)


def require_schedule(name: str, known: Sequence[str] = SCHEDULES) -> None:
    """Require a schedule's name, or the path of a scheduler or a function; for constructors.

    Args:
        name: What was given.
        known: The names.

    Raises:
        UsageError: there is no such schedule, or it is a scheduler that needs more than the length
            of the training.
    """
    if is_scheduler(found := require_named("schedule", name, known)):
        require_scheduler(name, found)


def parameter_groups(
    parameters: Iterable[tuple[str, nn.Parameter]],
    lr: float,
    weight_decay: float,
    head: Sequence[str] = (),
    lr_backbone: float | None = None,
    lr_scale: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Groups for an optimizer: weight decay for weights alone, not for biases and norms.

    Args:
        parameters: What to train, with names, as ``module.named_parameters()`` gives it.
        lr: Learning rate.
        weight_decay: Of the weights.
        head: Submodules that take ``lr`` where the rest takes another.
        lr_backbone: Learning rate of everything outside ``head``; ``lr`` if None.
        lr_scale: Factors on the learning rates of some, by name, such as smaller ones for the
            first layers.

    Returns:
        Dicts of ``params``, ``lr`` and ``weight_decay``. Frozen parameters are among them: they
        have no gradient and are passed over until they are unfrozen.
    """
    kinds: dict[tuple[float, float], list[nn.Parameter]] = {}
    for path, parameter in parameters:
        inside = lr_backbone is None or in_head(path, head)
        rate = lr if inside or lr_backbone is None else lr_backbone
        rate *= (lr_scale or {}).get(path, 1)
        decay = weight_decay if _decays(path, parameter) else 0.0
        kinds.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": chosen, "lr": rate, "weight_decay": decay}
        for (rate, decay), chosen in kinds.items()
    ]


def _decays(path: str, parameter: nn.Parameter) -> bool:
    name = path.rsplit(".", 1)[-1]
    return parameter.ndim > 1 and not name.startswith("bias") and not name.endswith("bias")


def may_fuse(module: LightningModule) -> bool:
    """Whether an optimizer of the module may be fused: torch has the kernels for its device, and
    the Trainer clips no gradients in mixed precision, which Lightning refuses for fused ones.

    Args:
        module: Whose ``configure_optimizers`` is being called.
    """
    if module.device.type not in ("cpu", "cuda"):
        return False
    trainer = attached_trainer(module)
    if trainer is None or not trainer.gradient_clip_val:
        return True
    return "mixed" not in str(trainer.precision)


def optimizer(
    name: str,
    parameters: Iterable[tuple[str, nn.Parameter]],
    lr: float,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    head: Sequence[str] = (),
    lr_backbone: float | None = None,
    fused: bool = True,
    lr_scale: Mapping[str, float] | None = None,
) -> torch.optim.Optimizer:
    """Build an optimizer over ``parameter_groups``.

    Args:
        name: ``adamw``, ``sgd`` or ``nesterov``; or the path of a class, which is called with the
            groups and, where it takes them, ``lr`` and ``momentum``.
        parameters: See ``parameter_groups``.
        lr: Learning rate.
        momentum: Momentum of ``sgd`` and ``nesterov``.
        weight_decay: Decoupled for ``adamw``, L2 for the others.
        head: See ``parameter_groups``.
        lr_backbone: See ``parameter_groups``.
        fused: One kernel for all parameters where torch has it: small nets are bound by such
            overhead. See ``may_fuse``.
        lr_scale: See ``parameter_groups``.

    Raises:
        UsageError: there is no such optimizer, or it does not take these arguments.
    """
    cls = find_named("optimizer", name, OPTIMIZERS)
    groups = parameter_groups(parameters, lr, weight_decay, head, lr_backbone, lr_scale)
    if cls:
        return _of_class(name, cls, groups, {"lr": lr, "momentum": momentum})
    fused = fused and all(
        parameter.device.type in ("cpu", "cuda")
        for group in groups
        for parameter in group["params"]
    )
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=lr, fused=fused)
    nesterov = name == "nesterov" and momentum > 0
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov, fused=fused)


def _of_class(
    name: str, cls: Callable[..., Any], groups: list[dict[str, Any]], arguments: dict[str, float]
) -> torch.optim.Optimizer:
    try:
        taken = inspect.signature(cls).parameters
        built = cls(groups, **{key: value for key, value in arguments.items() if key in taken})
    except (TypeError, ValueError) as error:
        raise UsageError(f"the optimizer {name!r} refuses its arguments: {error}") from error
    if not isinstance(built, torch.optim.Optimizer):
        raise UsageError(f"the optimizer {name!r} is not a torch.optim.Optimizer")
    return built


def schedule(name: str, total_steps: float, warmup: float = 0.2) -> Factor:
    """The factor on the learning rate at every optimizer step.

    Args:
        name: ``constant``. ``onecycle``: linear up from 1/25 over the first ``warmup`` of the
            steps, then half a cosine down to 1e-4. ``cosine``: half a cosine down to 0. Or the
            path of a scheduler that needs no more than the length of the training, such as
            ``torch.optim.lr_scheduler.PolynomialLR``, or of a function that takes ``total_steps``
            and ``warmup`` and returns the factor.
        total_steps: Optimizer steps of the whole training, as ``total_steps`` gives them.
        warmup: Part of the steps in which ``onecycle`` goes up.

    Raises:
        UsageError: there is no such schedule, or it needs an end and the training has none.
    """
    if make := find_named("schedule", name, SCHEDULES):
        if is_scheduler(make):
            return scheduler_factor(name, make, total_steps, warmup)
        made: Factor = make(total_steps, warmup)
        return made
    if name == "constant":
        return lambda step: 1.0
    if not math.isfinite(total_steps):
        raise UsageError(
            f"schedule {name!r} has to know when training ends; set trainer.max_epochs or "
            "trainer.max_steps, or take a schedule without an end, such as 'constant'"
        )
    if name == "cosine":
        return lambda step: _half_cosine(step / max(total_steps, 1))
    rise = max(warmup * total_steps, 1.0)

    def onecycle(step: int) -> float:
        if step < rise:
            return 0.04 + 0.96 * step / rise
        return max(_half_cosine((step - rise) / max(total_steps - rise, 1.0)), 1e-4)

    return onecycle


def schedule_by_count(
    name: str,
    module: LightningModule,
    unit: str,
    total: int | None = None,
    warmup: float = 0.2,
) -> Factor:
    """As ``schedule``, by what the model or its data count (``HasCounters``) instead of steps.

    Args:
        name: As there.
        module: Whose ``configure_optimizers`` is being called.
        unit: What is counted, such as ``sequences``.
        total: The count at which the training ends; its budget of that unit if None.
        warmup: As there, a part of ``total``.

    Returns:
        For ``with_schedule``; it asks for the count and leaves the number of the step alone.

    Raises:
        UsageError: neither model nor data count the unit, there is no such schedule, or it needs
            an end and the training has no budget of that unit.
    """
    count(module, unit)
    trainer = attached_trainer(module)
    if total is None and trainer is not None:
        total = budgets(trainer).get(unit)
    if total is None and name in SCHEDULES and name != "constant":
        raise UsageError(
            f"schedule {name!r} by {unit!r} has to know when training ends: give "
            f"--budget {unit}=COUNT"
        )
    factor = schedule(name, math.inf if total is None else total, warmup)
    return lambda step: factor(count(module, unit))


class EpochSteps:
    """The optimizer steps of a training's epochs, for schedules that count epochs.

    Unlike the total divided by the number of epochs, they hold where ``max_steps`` or
    ``max_time`` ends the training, where there is no number of epochs, and where
    ``GradientAccumulationScheduler`` changes how many batches a step takes.

    Args:
        trainer: That of the module, as in ``configure_optimizers``.
    """

    def __init__(self, trainer: Trainer) -> None:
        batches = training_batches(trainer)
        accumulated = {0: trainer.accumulate_grad_batches}
        for each in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(each, GradientAccumulationScheduler):
                accumulated |= each.scheduling
        self._starts = sorted(accumulated)
        self._steps = [_steps(batches, accumulated[start]) for start in self._starts]

    def before(self, epoch: int) -> float:
        """Steps before an epoch, counted from 0."""
        ends = [*self._starts[1:], math.inf]
        return sum(
            (min(epoch, end) - start) * steps
            for start, end, steps in zip(self._starts, ends, self._steps, strict=True)
            if epoch > start
        )

    def epoch(self, step: int) -> int:
        """The epoch, counted from 0, in which a step is made."""
        begins = [self.before(start) for start in self._starts]
        stage = bisect_right(begins, step) - 1
        return self._starts[stage] + int((step - begins[stage]) // self._steps[stage])


def total_steps(trainer: Trainer) -> float:
    """Optimizer steps of a whole training; infinite where it has no end.

    As ``trainer.estimated_stepping_batches``, which takes every epoch to accumulate as many
    batches as the first.

    Args:
        trainer: That of the module, as in ``configure_optimizers``.
    """
    total = trainer.estimated_stepping_batches
    epochs = trainer.max_epochs
    if not any(isinstance(each, GradientAccumulationScheduler) for each in trainer.callbacks):  # type: ignore[attr-defined]
        return total
    if epochs is None or epochs < 0 or not math.isfinite(total):
        return total
    counted = EpochSteps(trainer).before(max(epochs, 1))
    return min(counted, trainer.max_steps) if trainer.max_steps >= 0 else counted


def with_schedule(optimizer: torch.optim.Optimizer, factor: Factor) -> OptimizerLRScheduler:
    """What a LightningModule's ``configure_optimizers`` returns for a schedule by steps.

    Args:
        optimizer: Its learning rates are those that the factor applies to.
        factor: As ``schedule`` gives it.
    """
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def _steps(batches: float, accumulated: int) -> float:
    """Of an epoch; its last batches make a step too, though they are fewer."""
    return math.ceil(batches / accumulated) if math.isfinite(batches) else math.inf


def _half_cosine(progress: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
