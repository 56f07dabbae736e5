"""Balancing one pole or two: the task, both fitnesses and the test of generalization."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import radians
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from zoo.plugin import above, at_least, one_of
from zoo_evolution.policies.base import Controllers, Policy
from zoo_evolution.tasks.base import Outcome, Task
from zoo_evolution.tasks.poles.drawing import draw_cart
from zoo_evolution.tasks.poles.physics import ONE, TWO, CartPhysics
from zoo_evolution.tasks.poles.scalar import ScalarCart, State

TRACK = 2.4
"""Meters to each side that the cart may go."""
MAX_FORCE = 10.0
MIN_FORCE = 10.0 / 256
FAILURE_ANGLE = {1: radians(12), 2: radians(36)}
"""By the number of poles: an angle at which one has fallen."""
LONG_RUN = 100_000
"""Steps that a solution balances."""
TRIAL = 1000
"""Steps of an evaluation, and of each start of the test of generalization."""
GENERALIZING = 200
"""Of the 625 starts that a solution of the damping fitness balances at least."""
FEW = 64
"""Controllers up to which playing one after the other, in plain numbers, takes less time: most of a
population drop their poles soon."""
MANY, SOON = 16, 10 * TRIAL
"""Controllers from which going on together after a trial takes less time, and the steps of it."""
KEPT = 64
"""Answers of the test of generalization that are kept."""
_GRID = (0.05, 0.25, 0.5, 0.75, 0.95)


class PoleBalancing(Task):
    """A cart balances a pole, or two of different lengths, within a track.

    Two poles: 0.5 m and 0.05 m half-length, 0.1 kg and 0.01 kg; the longer starts at 4 degrees, all
    else at rest. Forces are up to 10 N, and at least 10/256 N. It fails beyond 2.4 m or 36 degrees
    (12 with one pole). The net sees x / 2.4 and the angles over the failure angle in radians
    (0.628 for 36 degrees), unless told otherwise; with velocities x' / 1.5 and turns / 2 too.

    Fitness ``steps`` is how long it balances. One that lasts 1,000 steps plays on to 100,000,
    which solves the task. Fitness ``damping`` is 0.1 t / 1000 + 0.9 f with f = 0.75 over the sum of
    |x| + |x'| + |a_1| + |a_1'| over the last 100 of 1,000 steps, or 0 if it fell before the
    hundredth; the best of a generation solves the task if it balances 100,000 steps and, from at
    least 200 of 625 other starts, 1,000 steps. (Gruau, Whitley, Pyeatt, GP 1996; Gomez,
    Schmidhuber, Miikkulainen, JMLR 9 (2008), section 5.2.)

    Args:
        poles: One or two.
        velocities: Whether the net sees velocities.
        fitness: ``steps`` or ``damping``.
        long_run: Steps that a solution balances.
        position_scale: Meters by which x is divided for the net.
        angle_scale: Radians by which angles are; the failure angle if None. The program of NEAT
            (Stanley, Miikkulainen, 2002) has 4.8 m and 0.52.

    Raises:
        UsageError: an argument is out of its range.
    """

    action_size = 1

    def __init__(
        self,
        poles: int = 2,
        velocities: bool = False,
        fitness: Literal["steps", "damping"] = "steps",
        long_run: int = LONG_RUN,
        position_scale: float = TRACK,
        angle_scale: float | None = None,
    ) -> None:
        one_of("poles", poles, (1, 2))
        one_of("fitness", fitness, ("steps", "damping"))
        at_least("long_run", long_run, TRIAL)
        self.velocities, self.fitness, self.long_run = velocities, fitness, long_run
        self.poles = ONE if poles == 1 else TWO
        self.failure_angle = FAILURE_ANGLE[poles]
        self.observation_size = (1 + poles) * (2 if velocities else 1)
        angle = self.failure_angle if angle_scale is None else angle_scale
        above("position_scale", position_scale, 0)
        above("angle_scale", angle, 0)
        position = torch.tensor([position_scale, *[angle] * poles], dtype=torch.float64)
        speed = torch.tensor([1.5, *[2.0] * poles], dtype=torch.float64)
        self._scale = torch.cat([position, speed])[: self.observation_size]
        self._generalizing: dict[tuple[Policy, tuple[float, ...]], bool] = {}

    def start(self, count: int) -> Tensor:
        """The state (2, 1 + poles, count) in which an episode begins."""
        state = torch.zeros(2, 1 + len(self.poles.masses), count, dtype=torch.float64)
        state[0, 1] = radians(4)
        return state

    def evaluate(self, policy: Policy, weights: Tensor, seed: Sequence[int]) -> Outcome:
        if self.fitness == "damping":
            return self._evaluate_damping(policy, weights)
        steps, _ = self.balance(policy, weights, self.start(len(weights)), TRIAL)
        for number in self._lasting(policy, weights, steps):
            steps[number] = self.long_steps(policy, weights[number])
            if steps[number] == self.long_run:
                return Outcome(steps.double(), steps, number, number + 1)
        return Outcome(steps.double(), steps, None, len(weights))

    def _lasting(self, policy: Policy, weights: Tensor, steps: Tensor) -> list[int]:
        """Which may balance the long run. Of many that lasted a trial most fall soon after it: they
        go on together, and their ``steps`` (L,) are changed."""
        lasting = torch.nonzero(steps == TRIAL)[:, 0]
        if len(lasting) > MANY:
            soon = min(SOON, self.long_run)
            start = self.start(len(lasting))
            steps[lasting], _ = self._balance_together(policy, weights[lasting], start, soon)
            lasting = lasting[steps[lasting] == soon]
        return lasting.tolist()

    def _evaluate_damping(self, policy: Policy, weights: Tensor) -> Outcome:
        steps, fitness = self.balance(policy, weights, self.start(len(weights)), TRIAL)
        best = int(fitness.argmax())
        solved = (
            int(steps[best]) == TRIAL
            and self.generalizes(policy, weights[best])
            and self.long_steps(policy, weights[best]) == self.long_run
        )
        return Outcome(fitness, steps, best if solved else None, len(weights))

    def balance(
        self, policy: Policy, weights: Tensor, state: Tensor, limit: int
    ) -> tuple[Tensor, Tensor]:
        """Play until each has failed or ``limit`` steps are over.

        Args:
            policy: The net.
            weights: Of each controller (L, size).
            state: In which each begins (2, 1 + poles, L).
            limit: Steps at most.

        Returns:
            Steps that each balanced, int64 (L,), and the damping fitness of each, float64 (L,).
        """
        if len(weights) <= FEW and policy.plain and weights.device.type == "cpu":
            starts = state.flatten(0, 1).T.tolist()
            pairs = zip(weights.double(), starts, strict=True)
            alone = [self._balance_alone(policy, each, start, limit) for each, start in pairs]
            steps, damping = zip(*alone, strict=True)
            return torch.tensor(steps), torch.tensor(damping, dtype=torch.float64)
        return self._balance_together(policy, weights, state, limit)

    def _balance_together(
        self, policy: Policy, weights: Tensor, state: Tensor, limit: int
    ) -> tuple[Tensor, Tensor]:
        device, count = weights.device, len(weights)
        state, scale = state.to(device), self._scale.to(device)
        physics = CartPhysics(self.poles, device)
        controllers = Controllers(policy, weights.double())
        lanes = torch.arange(count, device=device)
        steps = torch.full((count,), limit, device=device)
        swings = state.new_zeros(100, count)  # of the last 100 steps
        for number in range(limit):
            observed = state.flatten(0, 1)[: self.observation_size].T / scale
            state = physics.step(state, as_force(controllers.act(observed)[:, 0]))
            swings[number % 100, lanes] = state[:, :2].abs().sum((0, 1))
            fallen = self.failed(state)
            if bool(fallen.any()):
                steps[lanes[fallen]] = number + 1
                left = torch.nonzero(~fallen)[:, 0]
                if not len(left):
                    break
                lanes, state = lanes[left], state[:, :, left].contiguous()
                controllers.keep(left)
        calm = torch.where(steps < 100, 0.0, 0.75 / swings.sum(0))
        return steps, 0.1 * steps / TRIAL + 0.9 * calm

    def failed(self, state: Tensor) -> Tensor:
        """Which carts have left the track or dropped a pole, bool (L,); a state that is no number
        has."""
        held = (state[0, 0].abs() <= TRACK) & (state[0, 1:].abs() <= self.failure_angle).all(0)
        return ~held

    def long_steps(self, policy: Policy, weights: Tensor) -> int:
        """Steps that one controller (size,) balances, up to ``long_run``."""
        start = self.start(1)[:, :, 0].flatten().tolist()
        return self._balance_alone(policy, weights.double().cpu(), start, self.long_run)[0]

    def _balance_alone(
        self, policy: Policy, weights: Tensor, start: list[float], limit: int
    ) -> tuple[int, float]:
        """Steps and damping fitness of one controller (size,) in plain numbers."""
        act, cart, two = policy.single(weights), ScalarCart(self.poles), len(self.poles.masses) == 2
        x, angle, *rest = start if two else (*start[:2], 0.0, *start[2:], 0.0)
        state: State = (x, angle, rest[0], rest[1], rest[2], rest[3])
        seen = (0, 1, 2, 3, 4, 5) if two else (0, 1, 3, 4)
        places = list(zip(seen, self._scale.tolist(), strict=False))
        highest, swings, steps = self.failure_angle, [0.0] * 100, limit
        for number in range(limit):
            observed = [state[place] / by for place, by in places]
            state = cart.step(state, _scalar_force(act(observed)[0]))
            swings[number % 100] = abs(state[0]) + abs(state[1]) + abs(state[3]) + abs(state[4])
            held = abs(state[0]) <= TRACK and abs(state[1]) <= highest
            if not held or (two and not abs(state[2]) <= highest):
                steps = number + 1
                break
        return steps, _damping(steps, sum(swings))

    def generalization(self, policy: Policy, weights: Tensor) -> int:
        """From how many of 625 starts one controller (size,) balances 1,000 steps.

        x, x', the first pole's angle and its turn each take 5 values, at 0.05, 0.25, 0.5, 0.75 and
        0.95 of their ranges: 2.16 m, 1.35 m/s, 3.6 degrees and 8.6 degrees/s to both sides.
        """
        spans = (2.16, 1.35, radians(3.6), radians(8.6))
        grid = torch.tensor(list(product(_GRID, repeat=4)), dtype=torch.float64).T * 2 - 1
        x, speed, angle, turn = (span * row for span, row in zip(spans, grid, strict=True))
        state = torch.zeros(2, 1 + len(self.poles.masses), 625, dtype=torch.float64)
        state[0, 0], state[1, 0], state[0, 1], state[1, 1] = x, speed, angle, turn
        steps, _ = self.balance(policy, weights.expand(625, -1), state, TRIAL)
        return int((steps == TRIAL).sum())

    def generalizes(self, policy: Policy, weights: Tensor) -> bool:
        """Whether one controller (size,) balances from at least 200 of the 625 starts. The best net
        of a generation is often that of the one before: the last answers are kept."""
        key, known = (policy, tuple(weights.tolist())), self._generalizing
        if key not in known:
            if len(known) == KEPT:
                del known[next(iter(known))]
            known[key] = self.generalization(policy, weights) >= GENERALIZING
        return known[key]

    def test(self, policy: Policy, weights: Tensor, seed: int) -> dict[str, float]:
        """Steps of the long run, fitness, and the starts of the test of generalization."""
        steps, damping = self.balance(policy, weights[None], self.start(1), TRIAL)
        long = self.long_steps(policy, weights) if int(steps) == TRIAL else int(steps)
        fitness = float(damping) if self.fitness == "damping" else float(long)
        starts = self.generalization(policy, weights)
        return {"steps": float(long), "fitness": fitness, "generalization": float(starts)}

    def play(
        self, policy: Policy, weights: Tensor, seed: int, film: bool
    ) -> tuple[dict[str, Any], list[np.ndarray]]:
        """An episode of 1,000 steps at most, from the start or, with a seed above 0, from one of
        the 625 starts' ranges."""
        state = self.start(1)
        if seed:
            random = torch.Generator().manual_seed(seed)
            spans = torch.tensor([1.0, 0.5, radians(3.0), radians(4.0)], dtype=torch.float64)
            drawn = (torch.rand(4, generator=random, dtype=torch.float64) * 2 - 1) * spans
            state[0, 0], state[1, 0], state[0, 1], state[1, 1] = drawn.tolist()
        physics, controllers = CartPhysics(self.poles), Controllers(policy, weights.double()[None])
        frames, number = [], 0
        for number in range(1, TRIAL + 1):
            if film and number % 5 == 1 and number <= 500:
                frames.append(draw_cart(state[0, :, 0].tolist(), self.poles))
            observed = state.flatten(0, 1)[: self.observation_size].T / self._scale
            state = physics.step(state, as_force(controllers.act(observed)[:, 0]))
            if bool(self.failed(state)):
                break
        figures = {"steps": number, "balanced": number == TRIAL, "x": float(state[0, 0, 0])}
        return figures, frames

    def describe(self) -> list[str]:
        count = len(self.poles.masses)
        seen = "with" if self.velocities else "without"
        return [f"{count} pole{'s' * (count > 1)}, {seen} velocities", f"fitness {self.fitness}"]


def as_force(action: Tensor) -> Tensor:
    """Newtons of actions between -1 and 1; a force below 10/256 N is lifted to it, 0 to the
    right."""
    force = action * MAX_FORCE
    return torch.where(force >= 0, force.clamp(min=MIN_FORCE), force.clamp(max=-MIN_FORCE))


def _scalar_force(action: float) -> float:
    force = action * MAX_FORCE
    return max(force, MIN_FORCE) if force >= 0 else min(force, -MIN_FORCE)


def _damping(steps: int, swings: float) -> float:
    return 0.1 * steps / TRIAL + (0.9 * 0.75 / swings if steps >= 100 else 0.0)
