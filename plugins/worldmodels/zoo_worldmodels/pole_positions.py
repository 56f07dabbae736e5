"""Poles of which positions alone are seen: episodes, and the data `pole-positions`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from zoo.plugin import Facts, NumberedSteps, at_least
from zoo_rl.seeding import generator
from zoo_worldmodels import pole

TRAINING_STEPS = 60
"""Steps after which an episode of training is cut."""
_PARTS = {"val": 1, "test": 2}
_CORRELATION = 0.85  # of random actions, from step to step: white noise moves no cart

Policy = Callable[[Tensor], Tensor]
"""From observations (N, 2), one a call from the beginning of episodes, to actions (N,)."""


@dataclass(frozen=True)
class Played:
    """N episodes of up to T steps; what lies behind an episode's end is 0.

    Attributes:
        observations: float32 (N, T + 1, 2).
        actions: float32 (N, T).
        lengths: int64 (N,), steps of each.
    """

    observations: Tensor
    actions: Tensor
    lengths: Tensor

    @property
    def mask(self) -> Tensor:
        """1 where a step was made: float32 (N, T)."""
        return (torch.arange(self.actions.shape[1]) < self.lengths[:, None]).float()

    def state(self) -> dict[str, Tensor]:
        """The tensors by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def join(first: Played, second: Played) -> Played:
    """The episodes of both."""
    return Played(
        *(
            torch.cat([a, b])
            for a, b in zip(first.state().values(), second.state().values(), strict=True)
        )
    )


def random_actions(random: torch.Generator) -> Policy:
    """Actions that do not look, each much like the one before (an Ornstein-Uhlenbeck process)."""
    value: Tensor | None = None

    def act(seen: Tensor) -> Tensor:
        nonlocal value
        new = torch.randn(len(seen), generator=random)
        before = new if value is None else value
        value = _CORRELATION * before + (1 - _CORRELATION**2) ** 0.5 * new
        return (0.7 * value).clamp(-1, 1)

    return act


def play(
    policy: Policy, count: int, random: torch.Generator, max_steps: int = TRAINING_STEPS
) -> Played:
    """Episodes from random starts, padded to ``max_steps``.

    Args:
        policy: Chooses the actions.
        count: Episodes.
        random: What starts are drawn from.
        max_steps: Where episodes are cut.
    """
    state = pole.starts(count, random)
    observations, actions = [pole.positions(state)], []
    alive = torch.ones(count, dtype=torch.bool)
    lengths = torch.zeros(count, dtype=torch.int64)
    for _ in range(max_steps):
        action = policy(observations[-1])
        state = pole.step(state, action)
        lengths += alive
        actions.append(action * alive)
        observations.append(pole.positions(state) * alive[:, None])
        alive = alive & ~pole.has_failed(state)
        if not alive.any():
            break
    short = max_steps - len(actions)
    return Played(
        pad(torch.stack(observations, 1), (0, 0, 0, short)),
        pad(torch.stack(actions, 1), (0, short)),
        lengths,
    )


@torch.no_grad()
def balance(controller: nn.Module, state: Tensor, max_steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Let a controller balance, without noise.

    Args:
        controller: From observations (N, 1, 2) and its state to actions (N, 1, 1) and its state.
        state: Where it begins, (N, 4).
        max_steps: Steps after which an episode is over.

    Returns:
        States (N, T + 1, 4) on the CPU, observations (N, T + 1, 2) on the controller's device, and
        how many steps the pole was balanced, int64 (N,). T is the length of the longest episode.
    """
    device = next(controller.parameters()).device
    memory = None
    states, alive = [state], torch.ones(len(state), dtype=torch.bool)
    steps = torch.zeros(len(state), dtype=torch.int64)
    for _ in range(max_steps):
        seen = pole.positions(states[-1])[:, None].to(device)
        actions, memory = controller(seen, memory)
        state = pole.step(states[-1], actions[:, 0, 0].float().cpu())
        states.append(state)
        alive = alive & ~pole.has_failed(state)
        steps += alive
        if not alive.any():
            break
    path = torch.stack(states, 1)
    return path, pole.positions(path).to(device), steps


class PolePositions(NumberedSteps):
    """A pole on a cart, of which position and angle are seen and velocities are not.

    Iterations of a learner that plays itself; validation and test are starts, which no training
    has. Starts and dynamics are those of gymnasium's CartPole, and the force is any from -10 to
    10 N; the pole is lost 12 degrees from upright or 2.4 m from the middle.

    Args:
        iterations_per_epoch: Iterations of training between two validations.
        val_episodes: Starts of a validation.
        test_episodes: Starts of the test.
        max_steps: Steps of 0.02 s that are to be balanced.
        seed: Of all that training draws.

    Raises:
        UsageError: an argument is out of its range.
    """

    def __init__(
        self,
        iterations_per_epoch: int = 1,
        val_episodes: int = 20,
        test_episodes: int = 20,
        max_steps: int = 1000,
        seed: int = 0,
    ) -> None:
        super().__init__(iterations_per_epoch, 1, 1, seed)
        at_least("val_episodes", val_episodes, 1)
        at_least("test_episodes", test_episodes, 1)
        at_least("max_steps", max_steps, 1)
        self._counts = {"val": val_episodes, "test": test_episodes}
        self.max_steps = max_steps

    @property
    def facts(self) -> Facts:
        """``observations``: numbers in one."""
        return {"observations": 2}

    def starts(self, stage: str, number: int) -> Tensor:
        """The starts of a validation or test, always the same: float32 (N, 4).

        Args:
            stage: ``val`` or ``test``.
            number: Of the batch.
        """
        return pole.starts(self._counts[stage], generator(_PARTS[stage], number))
