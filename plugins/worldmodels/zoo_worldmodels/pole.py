"""Many cart-poles at once, in torch: their dynamics, and what of them is seen.

The state is (cart's position x in m, its velocity in m/s, the pole's angle from upright in rad, its
angular velocity in rad/s); a step is 0.02 s of Euler's method (Barto, Sutton, Anderson: Neuronlike
adaptive elements that can solve difficult learning control problems, 1983, appendix; the constants
of gymnasium's CartPole, with a force of any strength in place of two).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

GRAVITY, CART_MASS, POLE_MASS, HALF_LENGTH = 9.8, 1.0, 0.1, 0.5
FORCE, STEP = 10.0, 0.02
MAX_POSITION, MAX_ANGLE = 2.4, 12 * 2 * math.pi / 360


def accelerations(state: Tensor, force: Tensor) -> tuple[Tensor, Tensor]:
    """Of the cart (m/s^2) and of the pole (rad/s^2), each (...,).

    Args:
        state: (..., 4).
        force: (...,), in N.
    """
    total = CART_MASS + POLE_MASS
    _, _, angle, spin = state.unbind(-1)
    sine, cosine = angle.sin(), angle.cos()
    pushed = (force + POLE_MASS * HALF_LENGTH * spin.square() * sine) / total
    of_pole = (GRAVITY * sine - cosine * pushed) / (
        HALF_LENGTH * (4 / 3 - POLE_MASS * cosine.square() / total)
    )
    return pushed - POLE_MASS * HALF_LENGTH * of_pole * cosine / total, of_pole


def step(state: Tensor, action: Tensor, force: float = FORCE) -> Tensor:
    """The states a step later, (..., 4).

    Args:
        state: (..., 4).
        action: (...,), from -1 to 1: what part of the force pushes, and where to.
        force: The greatest, in N.
    """
    of_cart, of_pole = accelerations(state, action * force)
    speed, spin = state[..., 1], state[..., 3]
    return state + STEP * torch.stack([speed, of_cart, spin, of_pole], dim=-1)


def has_failed(state: Tensor) -> Tensor:
    """Whether the cart left its track of 2.4 m to each side or the pole leans more than 12
    degrees: bool (...,)."""
    return (state[..., 0].abs() > MAX_POSITION) | (state[..., 2].abs() > MAX_ANGLE)


def starts(count: int, random: torch.Generator) -> Tensor:
    """States to begin with, each number of them drawn from -0.05 to 0.05: float32 (count, 4)."""
    return (torch.rand(count, 4, generator=random) - 0.5) * 0.1


def positions(state: Tensor) -> Tensor:
    """What the controller of 1990 sees: position and angle, from -1 to 1 where the pole is not yet
    lost, and no velocities: (..., 2)."""
    return torch.stack([state[..., 0] / MAX_POSITION, state[..., 2] / MAX_ANGLE], dim=-1)
