"""Optimisers and learning rate schedules by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn

from zoo.errors import UsageError

OPTIMIZERS = ("adamw", "normalised-momentum")
SCHEDULES = ("constant", "onecycle", "cosine", "halving")


class NormalisedMomentum(torch.optim.Optimizer):
    """Momentum on the gradient divided by its running root mean square.

    Unlike ``torch.optim.RMSprop`` with momentum, the steps are averaged and not summed::

        v <- r v + (1 - r) g^2          r = start_decay in the first start_steps steps
        m <- momentum m + (1 - momentum) g / (sqrt(v) + eps)
        w <- w - lr m

    Source: Stollenga et al. 2015, section 4, and the first steps as in the authors' program.

    Args:
        params: Parameters, or groups of them.
        lr: Learning rate.
        decay: r, of the mean square.
        momentum: Of the normalised gradient.
        eps: Added to the root. Not negligible where the loss is a mean over many voxels.
        start_decay: r in the first steps, when v still is near 0.
        start_steps: How many those are.
        weight_decay: Decoupled: w is first multiplied by 1 - lr weight_decay.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        decay: float = 0.9,
        momentum: float = 0.9,
        eps: float = 1e-5,
        start_decay: float = 0.5,
        start_steps: int = 4,
        weight_decay: float = 0.0,
    ) -> None:
        if lr < 0 or eps <= 0 or not all(0 <= r < 1 for r in (decay, momentum, start_decay)):
            raise ValueError("lr has to be 0 or more, eps above 0, the decays in [0, 1)")
        super().__init__(
            params,
            {
                "lr": lr,
                "decay": decay,
                "momentum": momentum,
                "eps": eps,
                "start_decay": start_decay,
                "start_steps": start_steps,
                "weight_decay": weight_decay,
            },
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Take one step; parameters without a gradient stay."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            gradients = [p.grad for p in parameters]
            for parameter in parameters:
                state = self.state[parameter]
                if not state:
                    state["step"] = 0
                    state["square"] = torch.zeros_like(parameter)
                    state["mean"] = torch.zeros_like(parameter)
                state["step"] += 1
            early = {self.state[p]["step"] <= group["start_steps"] for p in parameters}
            for start in early:  # frozen parameters that thawed later are behind
                chosen = [
                    (p, g)
                    for p, g in zip(parameters, gradients, strict=True)
                    if (self.state[p]["step"] <= group["start_steps"]) is start
                ]
                self._update(group, group["start_decay"] if start else group["decay"], chosen)
        return loss

    def _update(self, group: dict[str, Any], decay: float, chosen: list[tuple[Any, Any]]) -> None:
        parameters = [p for p, _ in chosen]
        gradients = [g for _, g in chosen]
        squares = [self.state[p]["square"] for p in parameters]
        means = [self.state[p]["mean"] for p in parameters]
        torch._foreach_mul_(squares, decay)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - decay)
        roots = torch._foreach_sqrt(squares)
        torch._foreach_add_(roots, group["eps"])
        torch._foreach_mul_(means, group["momentum"])
        torch._foreach_addcdiv_(means, gradients, roots, 1 - group["momentum"])
        if group["weight_decay"]:
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, means, alpha=-group["lr"])


def optimizer(
    name: str,
    parameters: Iterable[tuple[str, nn.Parameter]],
    lr: float,
    weight_decay: float,
    head: Sequence[str] = (),
    lr_backbone: float | None = None,
) -> torch.optim.Optimizer:
    """Build an optimiser; weight decay is for weights alone, not for biases and norms.

    Args:
        name: ``adamw``, or ``normalised-momentum`` (the paper's).
        parameters: What to train, with names, as ``module.named_parameters()`` gives it.
        lr: Learning rate.
        weight_decay: Decoupled weight decay.
        head: Submodules that take ``lr`` where the rest takes another.
        lr_backbone: Learning rate of everything outside ``head``; ``lr`` if None.

    Raises:
        UsageError: there is no such optimiser.
    """
    if name not in OPTIMIZERS:
        raise UsageError(f"unknown optimizer {name!r}; there are {', '.join(OPTIMIZERS)}")
    kinds: dict[tuple[float, float], list[nn.Parameter]] = {}
    for path, parameter in parameters:
        inside = lr_backbone is None or any(path.startswith(f"{part}.") for part in head)
        rate = lr if inside or lr_backbone is None else lr_backbone
        decay = weight_decay if _decays(path, parameter) else 0.0
        kinds.setdefault((rate, decay), []).append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": chosen, "lr": rate, "weight_decay": decay}
        for (rate, decay), chosen in kinds.items()
    ]
    if name == "normalised-momentum":
        return NormalisedMomentum(groups, lr=lr)
    # Lightning clips no gradients for a fused optimiser under mixed precision.
    return torch.optim.AdamW(groups, lr=lr)


def _decays(path: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim > 1 and not path.rsplit(".", 1)[-1].startswith("bias")


def schedule(
    name: str,
    total_steps: float,
    warmup: float = 0.1,
    half_life: float = 100.0,
    floor: float = 1e-4,
) -> Callable[[int], float]:
    """The factor on the learning rate at every optimiser step.

    Args:
        name: ``constant``. ``onecycle``: linear up from 1/25 over the first ``warmup`` of the
            steps, then half a cosine down to 1e-4. ``cosine``: half a cosine down to 0.
            ``halving``: ``floor + 2^(-step / half_life)``, as in Stollenga et al. 2015, whose
            epoch is one sub-volume.
        total_steps: Optimiser steps of the whole training.
        warmup: Part of the steps in which ``onecycle`` goes up.
        half_life: Steps in which ``halving`` comes to a half.
        floor: What ``halving`` ends at.

    Raises:
        UsageError: there is no such schedule, or it needs an end and the training has none.
    """
    if name == "constant":
        return lambda step: 1.0
    if name == "halving":
        return lambda step: floor + 0.5 ** (step / half_life)
    if name not in SCHEDULES:
        raise UsageError(f"unknown schedule {name!r}; there are {', '.join(SCHEDULES)}")
    if not math.isfinite(total_steps):
        raise UsageError(
            f"schedule {name!r} has to know when training ends; set trainer.max_epochs or "
            "trainer.max_steps, or take the schedule 'constant' or 'halving'"
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
