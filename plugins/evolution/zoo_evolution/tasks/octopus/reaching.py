"""Reaching a goal with the arm."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from zoo.plugin import at_least
from zoo_evolution.policies.base import Controllers, Policy
from zoo_evolution.tasks.base import Outcome, Task, first_solver
from zoo_evolution.tasks.octopus.physics import COMPARTMENTS, ArmPhysics, Arms

STARTS = (0.0, pi / 3, -pi / 3)
"""Angles of the base in which an individual's episodes begin, radians."""
GOAL = (-4.0, 5.0)
"""x and y, in lengths of a compartment; the base is at the origin."""
TOUCH = 0.5
"""How near a mass has to come."""


class OctopusArm(Task):
    """An arm of ten compartments touches a goal behind it, from three directions.

    82 numbers are seen: x, y and their velocities of the ten moving pairs of masses, and angle and
    turn of the base. 32 are done: 30 muscles and two that turn the base. Their orders are those of
    ``observe`` and ``ArmPhysics.control``. The fitness is the mean
    over the starts of 1 - t / T * d / D, where t is the step at which a mass touches the goal or T,
    d the tip's distance from the goal then and D that in the beginning. (Of Koutník, Gomez,
    Schmidhuber, GECCO 2010, unverified; goal, starts and T are of this implementation.) It is
    solved if the goal is touched from all starts.

    Args:
        steps: T, control steps of 0.1 s.

    Raises:
        UsageError: there is to be no step.
    """

    observation_size = 8 * COMPARTMENTS + 2
    action_size = 3 * COMPARTMENTS + 2
    film_fps: ClassVar[float] = 10.0

    def __init__(self, steps: int = 80) -> None:
        at_least("steps", steps, 1)
        self.steps = steps

    def evaluate(self, policy: Policy, weights: Tensor, seed: Sequence[int]) -> Outcome:
        fitness, touched = self.reach(policy, weights)
        return Outcome(
            fitness.mean(1),
            touched.amax(1),
            first_solver(_solved(touched, self.steps), 1.0),
            len(weights),
        )

    def reach(self, policy: Policy, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Play every individual from every start.

        Args:
            policy: The net.
            weights: (P, size).

        Returns:
            Fitness (P, starts), and the step of the touch, int64 (P, starts): one more than there
            are steps where there was none.
        """
        count, starts = len(weights), len(STARTS)
        weights = weights.double()
        physics, goal = ArmPhysics(weights.device), weights.new_tensor(GOAL)
        controllers = Controllers(policy, weights.repeat_interleave(starts, 0))
        arms = physics.start(weights.new_tensor(STARTS).repeat(count))
        first = tip_distance(arms, goal)
        last = first.clone()
        touched = torch.full((count * starts,), self.steps + 1, device=weights.device)
        running = torch.ones(count * starts, dtype=torch.bool, device=weights.device)
        for number in range(1, self.steps + 1):
            arms = physics.control(arms, controllers.act(observe(arms)))
            last = torch.where(running, tip_distance(arms, goal), last)
            near = (arms.position - goal).norm(dim=-1).amin((1, 2)) < TOUCH
            touched = torch.where(running & near, number, touched)
            running &= ~near
            if not bool(running.any()):
                break
        share = touched.clamp(max=self.steps) / self.steps
        fitness = (1 - share * last / first).nan_to_num(-1e3)
        return fitness.view(count, starts), touched.view(count, starts)

    def test(self, policy: Policy, weights: Tensor, seed: int) -> dict[str, float]:
        """Fitness, the mean step of a touch, and the share of starts that touched."""
        fitness, touched = self.reach(policy, weights[None])
        return {
            "fitness": float(fitness.mean()),
            "steps": float(touched.clamp(max=self.steps).double().mean()),
            "touched": float((touched <= self.steps).double().mean()),
        }

    def play(
        self, policy: Policy, weights: Tensor, seed: int, film: bool
    ) -> tuple[dict[str, Any], list[np.ndarray]]:
        """An episode from one of the starts, or, with a seed above 2, one that is drawn."""
        angle = STARTS[seed] if seed < len(STARTS) else _drawn_angle(seed)
        physics, controllers = ArmPhysics(), Controllers(policy, weights.double()[None])
        arms, goal = physics.start(torch.tensor([angle], dtype=torch.float64)), torch.tensor(GOAL)
        frames, number, near = [], 0, False
        while number < self.steps and not near:
            if film:
                frames.append(draw_arm(arms))
            number += 1
            arms = physics.control(arms, controllers.act(observe(arms)))
            near = bool((arms.position - goal).norm(dim=-1).min() < TOUCH)
        if film:
            frames += [draw_arm(arms)] * 5
        tip = float(tip_distance(arms, goal.double()))
        return {"start": angle, "steps": number, "touched": near, "distance": tip}, frames

    def describe(self) -> list[str]:
        return ["an octopus arm of 10 compartments", f"{self.steps} steps an episode"]


def observe(arms: Arms) -> Tensor:
    """What the net sees (L, 82): positions over 10, velocities over 5, the angle over pi.

    Alike things lie side by side, as weights from few coefficients are smooth along this order: x
    of the dorsal masses, then of the ventral ones, each from the base to the tip; y; the velocities
    in the same order; angle and turn of the base.
    """
    pairs = torch.cat([arms.position / 10, arms.velocity / 5], 3)[:, :, 1:]  # (L, 2, n, 4)
    seen = pairs.permute(0, 3, 1, 2).flatten(1)
    base = torch.stack([arms.angle / pi, arms.turn], 1)
    return torch.cat([seen, base], 1)


def tip_distance(arms: Arms, goal: Tensor) -> Tensor:
    """From the middle of the last pair of masses to the goal (L,)."""
    tip = arms.position[:, :, -1].mean(1)
    distance: Tensor = (tip - goal.to(arms.position)).norm(dim=1)
    return distance


def draw_arm(arms: Arms) -> np.ndarray:
    """The first arm and the goal as a picture, uint8 (260, 260, 3)."""
    size, scale = 260, 11.0
    picture = Image.new("RGB", (size, size), (226, 240, 248))
    draw = ImageDraw.Draw(picture)

    def place(point: Sequence[float]) -> tuple[float, float]:
        return size / 2 + scale * point[0], size / 2 - scale * point[1]

    dorsal, ventral = arms.position[0].tolist()
    outline = [place(point) for point in [*dorsal, *reversed(ventral)]]
    draw.polygon(outline, fill=(214, 120, 96), outline=(120, 50, 40))
    for one, other in zip(dorsal, ventral, strict=True):
        draw.line([place(one), place(other)], fill=(150, 70, 56))
    x, y = place(GOAL)
    radius = TOUCH * scale
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=(40, 130, 60))
    x, y = place((0, 0))
    draw.ellipse([x - 5, y - 5, x + 5, y + 5], fill=(60, 60, 60))
    return np.asarray(picture)


def _solved(touched: Tensor, steps: int) -> Tensor:
    return (touched <= steps).all(1).double()


def _drawn_angle(seed: int) -> float:
    random = torch.Generator().manual_seed(seed)
    return float((torch.rand((), generator=random, dtype=torch.float64) * 2 - 1) * pi / 3)
