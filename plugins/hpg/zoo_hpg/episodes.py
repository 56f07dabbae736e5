"""Episodes as tensors, and how they are played."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from zoo_hpg.environments import Environment

Actor = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From observations (N, ...) to actions int64 (N,) and their log-probabilities (N,)."""


class Episodes(NamedTuple):
    """N episodes of at most T steps; what comes after an episode's end is masked.

    Attributes:
        observations: (N, T, ...), what the policy saw before each action.
        achieved: (N, T + 1, D), the goals that the states were, the last state's included.
        goals: (N, D), what each episode pursued.
        actions: int64 (N, T).
        log_probabilities: (N, T), of the actions, when they were taken; 0 after the end.
        rewards: (N, T), what followed each action; 0 after the end.
        mask: bool (N, T), True for the steps that were taken.
    """

    observations: Tensor
    achieved: Tensor
    goals: Tensor
    actions: Tensor
    log_probabilities: Tensor
    rewards: Tensor
    mask: Tensor

    @property
    def returns(self) -> Tensor:
        """The sum of rewards (N,) of each episode."""
        return self.rewards.sum(1)

    def at_least_single(self) -> Episodes:
        """Half precision, which Lightning makes of batches where the net has it, made single:
        sums of rewards and products of probabilities need it."""
        return Episodes(
            *(
                each.float() if each.dtype in (torch.float16, torch.bfloat16) else each
                for each in self
            )
        )


@torch.no_grad()
def rollout(
    environment: Environment,
    make_actor: Callable[[Tensor], Actor],
    episodes: int,
    random: torch.Generator,
    goals: Tensor | None = None,
) -> Episodes:
    """Play episodes side by side, each until it reaches its goal, fails or runs out of steps.

    The reward of reaching the goal by the t-th action is the number of steps left, horizon - t.

    Args:
        environment: Where to play.
        make_actor: Called with the goals (N, D), gives what chooses the actions.
        episodes: How many, N.
        random: Starts, goals and the environment's own chance are drawn from it.
        goals: Goals (N, D) instead of drawn ones.

    Returns:
        The episodes, as long as the longest of them; on a GPU as long as the horizon.
    """
    observations, achieved, drawn = environment.reset(episodes, random, goals)
    act = make_actor(drawn)
    running = torch.ones(episodes, dtype=torch.bool, device=random.device)
    seen, reached, chosen, likely, paid, masks = [], [achieved], [], [], [], []
    for step in range(1, environment.horizon):
        actions, log_probabilities = act(observations)
        seen.append(observations)
        chosen.append(actions)
        likely.append(log_probabilities * running)
        masks.append(running)
        observations, achieved, failed = environment.step(actions, random)
        at_goal = (achieved - drawn).norm(dim=1) < environment.tolerance
        reached.append(achieved)
        paid.append((at_goal & running) * float(environment.horizon - step))
        running = running & ~at_goal & ~failed
        if running.device.type == "cpu" and not running.any():  # a GPU would have to be waited for
            break
    return Episodes(
        torch.stack(seen, 1),
        torch.stack(reached, 1),
        drawn,
        torch.stack(chosen, 1),
        torch.stack(likely, 1),
        torch.stack(paid, 1),
        torch.stack(masks, 1),
    )
