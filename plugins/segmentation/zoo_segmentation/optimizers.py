"""The optimizer and the schedule of Stollenga et al. 2015, beside the zoo's own."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn

from zoo.plugin import one_of, optim

OPTIMIZERS = ("adamw", "normalized-momentum")
SCHEDULES = (*optim.SCHEDULES, "halving")


class NormalizedMomentum(torch.optim.Optimizer):
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
        momentum: Of the normalized gradient.
        eps: Added to the root. Not negligible where the loss is a mean over many voxels: the
            authors' program divides the gradient of every sub-volume by the voxels and channels of
            the whole volume, so of a mean over a sub-volume the gradient is larger (of 64x64x8
            voxels of 240x240x48, 84 times), and eps weighs less. ``loss_volume`` of the segmenters
            does as the program does; the paper says nothing of it.
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
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
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
            for start in early:  # frozen parameters that unfrozen later are behind
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
        # torch documents its foreach functions and has no other names for them.
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
    """Build an optimizer; weight decay is for weights alone, not for biases and norms.

    Args:
        name: One of ``zoo.plugin.optim.optimizer``, or ``normalized-momentum`` (the paper's).
        parameters: What to train, with names, as ``module.named_parameters()`` gives it.
        lr: Learning rate.
        weight_decay: Decoupled weight decay.
        head: Submodules that take ``lr`` where the rest takes another.
        lr_backbone: Learning rate of everything outside ``head``; ``lr`` if None.

    Raises:
        UsageError: there is no such optimizer.
    """
    if "." not in name:  # otherwise the path of a class
        one_of("optimizer", name, OPTIMIZERS)
    if name == "normalized-momentum":
        groups = optim.parameter_groups(parameters, lr, weight_decay, head, lr_backbone)
        return NormalizedMomentum(groups, lr=lr)
    # Not fused: gradients are clipped under mixed precision here.
    return optim.optimizer(
        name,
        parameters,
        lr,
        weight_decay=weight_decay,
        head=head,
        lr_backbone=lr_backbone,
        fused=False,
    )


def schedule(
    name: str,
    total_steps: float,
    warmup: float = 0.1,
    half_life: float = 100.0,
    floor: float = 1e-4,
) -> optim.Factor:
    """The factor on the learning rate at every optimizer step.

    Args:
        name: One of ``zoo.plugin.optim.schedule``, or ``halving``: ``floor + 2^(-step /
            half_life)``, as in Stollenga et al. 2015, whose epoch is one sub-volume.
        total_steps: Optimizer steps of the whole training.
        warmup: Part of the steps in which ``onecycle`` goes up.
        half_life: Steps in which ``halving`` comes to a half.
        floor: What ``halving`` ends at.

    Raises:
        UsageError: there is no such schedule, or it needs an end and the training has none.
    """
    if "." not in name:  # otherwise the path of a class
        one_of("schedule", name, SCHEDULES)
    if name == "halving":
        return lambda step: floor + 0.5 ** (step / half_life)
    return optim.schedule(name, total_steps, warmup)


def restarted(
    make: Callable[[float], optim.Factor], starts: Sequence[int], total_steps: float
) -> optim.Factor:
    """A schedule that starts over at the stages of a curriculum, as in Stollenga et al. 2015.

    Args:
        make: The schedule of a stage, from its number of steps.
        starts: The steps at which the stages after the first begin, ascending; those that the
            training does not come to are left out.
        total_steps: Optimizer steps of the whole training.
    """
    begins = [0, *(start for start in starts if start < total_steps)]
    ends = [*begins[1:], total_steps]
    factors = [make(end - begin) for begin, end in zip(begins, ends, strict=True)]

    def factor(step: int) -> float:
        stage = bisect_right(begins, step) - 1
        return factors[stage](step - begins[stage])

    return factor
