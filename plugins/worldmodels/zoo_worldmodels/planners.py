"""Planning: actions that a model says will go well, chosen anew at every step.

All planners look H steps ahead, keep a plan for each of N worlds, and begin with the plan of the
step before, moved on by one.

gradient    actions <- actions + step of Adam along d(sum of predicted rewards)/d(actions), from
            several plans at once (Schmidhuber: Making the world differentiable, FKI-126-90, 1990)
cem         plans ~ N(mean, deviation); those of the best tenth; again (Rubinstein, 1999)
mppi        plans = mean + smooth noise; mean = their average, weighted by exp(return / lambda)
            (Williams et al., arXiv:1707.02342)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

Evaluate = Callable[[Tensor], Tensor]
"""From plans (N, K, H, A), each number from -1 to 1, to their returns (N, K)."""


class Planner(ABC):
    """Base of the planners.

    Args:
        actions: Numbers in an action.
        horizon: Steps of a plan.
        samples: Plans that are tried at once.
        rounds: How often they are made better.
    """

    def __init__(self, actions: int, horizon: int, samples: int, rounds: int) -> None:
        self.actions, self.horizon, self.samples, self.rounds = actions, horizon, samples, rounds
        self.calls = 0
        """Steps of the model that planning a step for one world took."""

    def first(self, count: int) -> Tensor:
        """Plans of zeros for N worlds, (N, H, A)."""
        return torch.zeros(count, self.horizon, self.actions)

    def moved_on(self, plan: Tensor) -> Tensor:
        """The plan without its first step, and its last one twice."""
        return torch.cat([plan[:, 1:], plan[:, -1:]], 1)

    def plan(self, evaluate: Evaluate, plan: Tensor, random: torch.Generator) -> Tensor:
        """Better plans, (N, H, A).

        Args:
            evaluate: The model.
            plan: What to begin with, (N, H, A).
            random: Of all that is drawn.
        """
        self.calls = self.samples * self.rounds * self.horizon
        return self._better(evaluate, plan, random)

    @abstractmethod
    def _better(self, evaluate: Evaluate, plan: Tensor, random: torch.Generator) -> Tensor: ...


class GradientPlanner(Planner):
    """Ascends the gradient of the return through the model."""

    lr, spread = 0.1, 0.5

    def _better(self, evaluate: Evaluate, plan: Tensor, random: torch.Generator) -> Tensor:
        noise = torch.randn(len(plan), self.samples, *plan.shape[1:], generator=random)
        noise[:, 0] = 0  # the plan of the step before is one of those that are made better
        with torch.enable_grad():
            inside = torch.atanh(plan.clamp(-0.99, 0.99))[:, None] + self.spread * noise
            inside = inside.detach().requires_grad_()
            adam = torch.optim.Adam([inside], self.lr)
            for _ in range(self.rounds):
                adam.zero_grad()
                (-evaluate(inside.tanh()).sum()).backward()
                adam.step()
        plans = inside.detach().tanh()
        best = evaluate(plans).argmax(1)
        return plans[torch.arange(len(plans)), best]


class CEMPlanner(Planner):
    """The cross-entropy method."""

    elites, start, least = 0.1, 0.7, 0.05

    def _better(self, evaluate: Evaluate, plan: Tensor, random: torch.Generator) -> Tensor:
        mean, deviation = plan, torch.full_like(plan, self.start)
        kept = max(2, round(self.elites * self.samples))
        for _ in range(self.rounds):
            noise = torch.randn(len(plan), self.samples, *plan.shape[1:], generator=random)
            plans = (mean[:, None] + deviation[:, None] * noise).clamp(-1, 1)
            best = evaluate(plans).topk(kept, 1).indices
            elite = plans.gather(1, best[..., None, None].expand(-1, -1, *plans.shape[2:]))
            mean = elite.mean(1)
            deviation = elite.std(1).clamp(min=self.least)
        return mean


class MPPIPlanner(Planner):
    """Path integrals: every plan counts, by the exponential of its return."""

    spread, smooth, temperature = 0.7, 0.5, 0.2

    def _better(self, evaluate: Evaluate, plan: Tensor, random: torch.Generator) -> Tensor:
        for _ in range(self.rounds):
            noise = torch.randn(len(plan), self.samples, *plan.shape[1:], generator=random)
            for step in range(1, self.horizon):  # much like the step before
                noise[:, :, step] = (
                    self.smooth * noise[:, :, step - 1]
                    + (1 - self.smooth**2) ** 0.5 * noise[:, :, step]
                )
            plans = (plan[:, None] + self.spread * noise).clamp(-1, 1)
            returns = evaluate(plans)
            scaled = (returns - returns.amax(1, keepdim=True)) / returns.std(1, keepdim=True).clamp(
                min=1e-6
            )
            weights = (scaled / self.temperature).softmax(1)
            plan = (weights[..., None, None] * plans).sum(1)
        return plan


PLANNERS: dict[str, type[Planner]] = {
    "gradient": GradientPlanner,
    "cem": CEMPlanner,
    "mppi": MPPIPlanner,
}
