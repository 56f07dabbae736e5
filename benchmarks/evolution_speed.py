"""Control steps of the double pole in a second of one core, net included.

    OMP_NUM_THREADS=1 python benchmarks/evolution_speed.py
    OMP_NUM_THREADS=1 python benchmarks/evolution_speed.py --peer evolution-peers/bin/python

writes results/evolution-speed.md. A population of 1,024 nets of one unit is stepped at once, beside
a loop over an environment in gymnasium's form, whose equations are in numpy for its one cart or in
plain Python (what this plugin plays single carts with), and, with the Python of an environment that
has evotorch (peers/README.md), beside its vectorized problem (peers/evolution_speed.py). All are
timed in turns in one run, in processor seconds, and the best of the turns counts, so that other
work on the machine says little. No cart is stopped: every lane plays every step.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from machine import describe, today

from zoo_evolution.policies.base import Controllers
from zoo_evolution.policies.recurrent import FullyRecurrent
from zoo_evolution.tasks.poles.balancing import FAILURE_ANGLE, TRACK, PoleBalancing, as_force
from zoo_evolution.tasks.poles.physics import TWO, CartPhysics
from zoo_evolution.tasks.poles.scalar import ScalarCart

HERE = Path(__file__).parent
POPULATION, STEPS, ALONE = 1024, 100, 500
ASKED, TIMES = 1.5e6, 100
SCALE = torch.tensor([TRACK, FAILURE_ANGLE[2], FAILURE_ANGLE[2]], dtype=torch.float64)


class DoublePole(gymnasium.Env[np.ndarray, float]):
    """Two poles in gymnasium's form, in numpy for one cart, as environments are usually written."""

    def __init__(self) -> None:
        self.length, self.mass = np.array(TWO.half_lengths), np.array(TWO.masses)
        self.state = np.zeros(6)

    def reset(self, **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """The start."""
        self.state = np.array([0.0, np.radians(4), 0, 0, 0, 0])
        return self.state[:3], {}

    def step(self, action: float) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """A control step."""
        for _ in range(2):
            self._integrate(10 * action, 0.01)
        angles = np.abs(self.state[1:3])
        failed = bool(abs(self.state[0]) > 2.4 or (angles > np.radians(36)).any())
        return self.state[:3], 1.0, failed, False, {}

    def _integrate(self, force: float, h: float) -> None:
        first = self._slope(self.state, force)
        second = self._slope(self.state + h / 2 * first, force)
        third = self._slope(self.state + h / 2 * second, force)
        fourth = self._slope(self.state + h * third, force)
        self.state = self.state + h / 6 * (first + 2 * second + 2 * third + fourth)

    def _slope(self, state: np.ndarray, force: float) -> np.ndarray:
        angle, speed, turn = state[1:3], state[3], state[4:]
        sin, cos = np.sin(angle), np.cos(angle)
        pull = 2e-6 * turn / (self.mass * self.length) - 9.8 * sin
        pushes = self.mass * self.length * turn**2 * sin + 0.75 * self.mass * cos * pull
        total = 1.0 + (self.mass * (1 - 0.75 * cos**2)).sum()
        cart = (force - 5e-4 * np.sign(speed) + pushes.sum()) / total
        return np.concatenate([state[3:], [cart], -0.75 / self.length * (cart * cos + pull)])


def batched() -> Callable[[], object]:
    """The population, ``STEPS`` steps."""
    task, policy, physics = PoleBalancing(), FullyRecurrent(3, 1, 1), CartPhysics(TWO)
    random = torch.Generator().manual_seed(0)
    weights = 0.1 * torch.randn(POPULATION, 4, generator=random, dtype=torch.float64)

    def play() -> None:
        controllers, state = Controllers(policy, weights), task.start(POPULATION)
        for _ in range(STEPS):
            observed = state.flatten(0, 1)[:3].T / SCALE
            state = physics.step(state, as_force(controllers.act(observed)[:, 0]))

    return play


def gymnasium_loop() -> Callable[[], object]:
    """One cart, ``ALONE`` steps of numpy."""
    env, act = DoublePole(), FullyRecurrent(3, 1, 1).single(torch.full((4,), 0.1))

    def play() -> None:
        seen, _ = env.reset()
        for _ in range(ALONE):
            seen, *_ = env.step(act(seen.tolist())[0])

    return play


def plain_loop() -> Callable[[], object]:
    """One cart, ``ALONE`` steps of plain Python."""
    cart, act = ScalarCart(TWO), FullyRecurrent(3, 1, 1).single(torch.full((4,), 0.1))

    def play() -> None:
        state = (0.0, 0.07, 0.0, 0.0, 0.0, 0.0)
        for _ in range(ALONE):
            state = cart.step(state, 10 * act(list(state[:3]))[0])

    return play


def seconds(play: Callable[[], object]) -> float:
    """Of the processor."""
    begin = time.process_time()
    play()
    return time.process_time() - begin


def main() -> None:
    """Measure in turns and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer", help="the Python of an environment that has evotorch")
    parser.add_argument("--turns", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    plays = {
        "1,024 at once": (batched(), POPULATION * STEPS),
        "a loop over a gymnasium environment in numpy": (gymnasium_loop(), ALONE),
        "a loop in plain Python": (plain_loop(), ALONE),
    }
    best = dict.fromkeys(plays, 0.0)
    peer = 0.0
    with torch.inference_mode():
        for _ in range(options.turns):
            for name, (play, steps) in plays.items():
                best[name] = max(best[name], steps / seconds(play))
            if options.peer:
                program = [options.peer, str(HERE / "peers" / "evolution_speed.py")]
                peer = max(peer, float(subprocess.check_output(program, text=True).split()[-1]))
    if options.peer:
        best["evotorch 0.6.1's vectorized problem, 1,024 at once"] = peer
    ours = best["1,024 at once"]
    command = "python benchmarks/evolution_speed.py" + " --peer evolution-peers/bin/python" * bool(
        peer
    )
    lines = [
        "# Speed of the double pole",
        "",
        f"`OMP_NUM_THREADS=1 {command}`, {today()}, {describe()}. Control steps a second of one "
        f"core's processor time, net of one unit included, the best of {options.turns} turns. "
        f"Asked: {ASKED:,.0f}, and {TIMES} times a loop over gymnasium-style steps.",
        "",
        "| what | steps a second | ours over it |",
        "|---|---|---|",
        *(f"| {name} | {rate:,.0f} | {ours / rate:.1f} |" for name, rate in best.items()),
        "",
    ]
    path = HERE / "results" / "evolution-speed.md"
    path.write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
