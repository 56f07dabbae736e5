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
        length = torch.tensor(poles.half_lengths, dtype=dtype, device=device)[:, None]
        mass = torch.tensor(poles.masses, dtype=dtype, device=device)[:, None]
        self._hinge = POLE_FRICTION / (mass * length)
        self._centrifugal = mass * length
        self._mass = 0.75 * mass
        self._turning = -0.75 / length
        self._total_mass = CART_MASS + float(mass.sum())
        self._dtype, self._device = dtype, device

    def start(self, position: Tensor, velocity: Tensor) -> Tensor:
        """A state of positions and velocities, (1 + poles, L) each."""
        return torch.stack([position, velocity]).to(self._device, self._dtype)

    def acceleration(self, state: Tensor, force: Tensor) -> Tensor:
        """Second derivatives (1 + poles, L) of the positions under a force in newtons (L,)."""
        angle, turn = state[0, 1:], state[1, 1:]
        sin, cos = angle.sin(), angle.cos()
        pull = (sin * GRAVITY).addcmul_(turn, self._hinge)
        mass_cos = cos * self._mass
        pushes = (turn * turn).mul_(sin).mul_(self._centrifugal).addcmul_(mass_cos, pull)
        total = (mass_cos * cos).sum(0).neg_().add_(self._total_mass)
        result = torch.empty_like(state[0])
        cart = torch.sub(force, state[1, 0].sign(), alpha=CART_FRICTION, out=result[0])
        cart.add_(pushes.sum(0)).div_(total)
        torch.addcmul(pull, cos, cart, out=result[1:])
        result[1:].mul_(self._turning)
        return result

    def step(self, state: Tensor, force: Tensor) -> Tensor:
        """The state a control step of 0.02 s later.

        Args:
            state: (2, 1 + poles, L).
            force: On the carts, in newtons (L,).
        """
        return self._integrate(self._integrate(state, force), force)

    def _integrate(self, state: Tensor, force: Tensor) -> Tensor:
        first = self._slope(state, force)
        second = self._slope(torch.add(state, first, alpha=TAU / 2), force)
        third = self._slope(torch.add(state, second, alpha=TAU / 2), force)
        fourth = self._slope(torch.add(state, third, alpha=TAU), force)
        total = first.add_(fourth).add_(second.add_(third), alpha=2)
        return torch.add(state, total, alpha=TAU / 6)

    def _slope(self, state: Tensor, force: Tensor) -> Tensor:
        slope = torch.empty_like(state)
        slope[0] = state[1]
        slope[1] = self.acceleration(state, force)
        return slope
