"""Control steps of the double pole a second of one core, as evotorch's vectorized problem.

The equations are written as one writes a vectorized fitness function for evotorch: torch's
operations on the whole population. The best of three evaluations of 1,024 nets, in processor
seconds; the last word printed is the figure.
"""

from __future__ import annotations

import time
from math import radians

import torch
from evotorch import Problem

POPULATION, STEPS = 1024, 100
LENGTH = torch.tensor([0.5, 0.05], dtype=torch.float64)
MASS = torch.tensor([0.1, 0.01], dtype=torch.float64)
SCALE = torch.tensor([2.4, radians(36), radians(36)], dtype=torch.float64)


def slope(state: torch.Tensor, force: torch.Tensor) -> torch.Tensor:
    """Of states (P, 6): x, two angles, and their velocities."""
    angle, speed, turn = state[:, 1:3], state[:, 3], state[:, 4:]
    sin, cos = angle.sin(), angle.cos()
    pull = 2e-6 * turn / (MASS * LENGTH) - 9.8 * sin
    pushes = MASS * LENGTH * turn**2 * sin + 0.75 * MASS * cos * pull
    total = 1.0 + (MASS * (1 - 0.75 * cos**2)).sum(1)
    cart = (force - 5e-4 * speed.sign() + pushes.sum(1)) / total
    poles = -0.75 / LENGTH * (cart[:, None] * cos + pull)
    return torch.cat([state[:, 3:], cart[:, None], poles], 1)


def integrated(state: torch.Tensor, force: torch.Tensor, h: float = 0.01) -> torch.Tensor:
    """A step of the fourth-order Runge-Kutta method."""
    first = slope(state, force)
    second = slope(state + h / 2 * first, force)
    third = slope(state + h / 2 * second, force)
    fourth = slope(state + h * third, force)
    return state + h / 6 * (first + 2 * second + 2 * third + fourth)


def balanced(nets: torch.Tensor) -> torch.Tensor:
    """The distance from upright after ``STEPS`` steps: no lane is stopped."""
    state = torch.zeros(len(nets), 6, dtype=torch.float64)
    state[:, 1] = radians(4)
    output = torch.zeros(len(nets), dtype=torch.float64)
    for _ in range(STEPS):
        seen = torch.cat([state[:, :3] / SCALE, output[:, None]], 1)
        output = (nets * seen).sum(1).tanh()
        force = 10 * output
        force = torch.where(force >= 0, force.clamp(min=10 / 256), force.clamp(max=-10 / 256))
        state = integrated(integrated(state, force), force)
    return -state[:, 1].abs()


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    problem = Problem(
        "max",
        balanced,
        solution_length=4,
        initial_bounds=(-0.1, 0.1),
        dtype=torch.float64,
        vectorized=True,
        seed=1,
    )
    rates = []
    for _ in range(3):
        population = problem.generate_batch(POPULATION)
        begin = time.process_time()
        problem.evaluate(population)
        rates.append(POPULATION * STEPS / (time.process_time() - begin))
    print(max(rates))


if __name__ == "__main__":
    main()
