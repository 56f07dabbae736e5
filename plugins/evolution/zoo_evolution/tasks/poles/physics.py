"""A cart on a track with one pole or several hinged on it, many carts at once.

For pole i of mass m_i and half-length l_i, friction mu_p at its hinge and mu_c on the track, with
g = -9.8 and the upright pole at angle 0:

    F_i  = m_i l_i w_i^2 sin a_i + 3/4 m_i cos a_i (mu_p w_i / (m_i l_i) + g sin a_i)
    M_i  = m_i (1 - 3/4 cos^2 a_i)
    x''  = (F - mu_c sgn x' + sum F_i) / (M + sum M_i)
    a_i''= -3/4 / l_i (x'' cos a_i + g sin a_i + mu_p w_i / (m_i l_i))

Wieland: Evolving neural network controllers for unstable systems, IJCNN 1991, in the form of
Gomez, Schmidhuber, Miikkulainen, JMLR 9 (2008), appendix A. A control step of 0.02 s is two steps
of the fourth-order Runge-Kutta method, of 0.01 s each. ``scalar.py`` is the plain version.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

GRAVITY = -9.8
CART_MASS = 1.0
CART_FRICTION = 5e-4
POLE_FRICTION = 2e-6
TAU = 0.01
"""Seconds of a step of integration; a control step has two."""


@dataclass(frozen=True)
class Poles:
    """Half-lengths in meters and masses in kilograms of the poles on a cart."""

    half_lengths: tuple[float, ...]
    masses: tuple[float, ...]


ONE = Poles((0.5,), (0.1,))
TWO = Poles((0.5, 0.05), (0.1, 0.01))


class CartPhysics:
    """Steps many carts at once.

    A state is a tensor (2, 1 + poles, L): positions (the cart's in meters, then the poles' angles
    in radians) and their velocities a second, of L carts.

    Args:
        poles: What is on each cart.
        device: Where states live.
        dtype: Of states.
    """

    def __init__(
        self,
        poles: Poles,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self.poles = len(poles.masses)
        length = torch.tensor(poles.half_lengths, dtype=dtype, device=device)
        mass = torch.tensor(poles.masses, dtype=dtype, device=device)
        self._hinge = (POLE_FRICTION / (mass * length))[:, None]
        self._centrifugal = mass * length
        self._mass = 0.75 * mass
        self._turning = (-0.75 / length)[:, None]
        self._total_mass = (CART_MASS + mass.sum())[None]
        self._dtype, self._device = dtype, device

    def start(self, position: Tensor, velocity: Tensor) -> Tensor:
        """A state of positions and velocities, (1 + poles, L) each."""
        return torch.stack([position, velocity]).to(self._device, self._dtype)

    def acceleration(self, state: Tensor, force: Tensor) -> Tensor:
        """Second derivatives (1 + poles, L) of the positions under a force in newtons (L,)."""
        return self._acceleration(state[0], state[1], force)

    def step(self, state: Tensor, force: Tensor) -> Tensor:
        """The state a control step of 0.02 s later.

        Args:
            state: (2, 1 + poles, L).
            force: On the carts, in newtons (L,).
        """
        position, velocity = state.unbind()
        for _ in range(2):
            position, velocity = self._integrate(position, velocity, force)
        return torch.stack([position, velocity])

    def _acceleration(self, position: Tensor, velocity: Tensor, force: Tensor) -> Tensor:
        angle, turn, speed = position[1:], velocity[1:], velocity[0]
        sin, cos = angle.sin(), angle.cos()
        swung = (turn * turn).mul_(sin)
        pull = sin.mul_(GRAVITY).addcmul_(turn, self._hinge)
        # Sums over the poles are products with their constants.
        total = torch.addmv(self._total_mass, (cos * cos).T, self._mass, alpha=-1)
        pushed = torch.sub(force, speed.sign(), alpha=CART_FRICTION)
        pushed.addmv_(swung.T, self._centrifugal).addmv_((cos * pull).T, self._mass)
        result = torch.empty_like(position)
        cart = torch.div(pushed, total, out=result[0])
        poles = result[1:]
        torch.addcmul(pull, cos, cart, out=poles)
        poles.mul_(self._turning)
        return result

    def _integrate(
        self, position: Tensor, velocity: Tensor, force: Tensor
    ) -> tuple[Tensor, Tensor]:
        # The derivatives of the positions are the velocities, so that the method's four slopes of
        # positions are velocity + a multiple of the acceleration before: they are not kept.
        half = TAU / 2
        first = self._acceleration(position, velocity, force)
        moved = torch.add(position, velocity, alpha=half)
        second = self._acceleration(moved, torch.add(velocity, first, alpha=half), force)
        moved.add_(first, alpha=half * half)
        third = self._acceleration(moved, torch.add(velocity, second, alpha=half), force)
        ahead = torch.add(position, velocity, alpha=TAU)
        moved = torch.add(ahead, second, alpha=TAU * half)
        last = self._acceleration(moved, torch.add(velocity, third, alpha=TAU), force)
        third.add_(second)
        first.add_(third)
        ahead.add_(first, alpha=TAU * TAU / 6)
        first.add_(third).add_(last)
        return ahead, torch.add(velocity, first, alpha=TAU / 6)
