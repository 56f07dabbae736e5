"""An arm of masses and springs, many arms at once.

n + 1 pairs of masses, a dorsal and a ventral one each, bound n compartments of constant area. The
first pair sits on a base that turns about the origin. On the other masses act

    muscles    along the dorsal, ventral and transverse edges: a passive spring of rest length L0,
               and one of rest length L0 / 2 whose stiffness is MUSCLE times the activation, and
               times the arm's width along the dorsal and ventral edges
    damping    along the edges, against the change of length
    pressure   STIFFNESS (A0 - A) / A0 times the gradient of each compartment's area A
    drag       of the water on the dorsal and ventral edges: quadratic in the speed, larger across
               an edge than along it; weight and buoyancy cancel

Yekutieli, Sagiv-Zohar, Aharonov, Engel, Hochner, Flash: Dynamic model of the octopus arm,
J. Neurophysiology 94 (2005). The form of the model is theirs; the constants are of this
implementation, in units of a compartment's length and a mass. Steps are semi-implicit Euler's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

COMPARTMENTS = 10
MUSCLES = 3 * COMPARTMENTS
STEP = 0.02
"""Seconds of a step of integration."""
STEPS_PER_CONTROL = 5
SPRING, MUSCLE, DAMPING, STIFFNESS = 20.0, 15.0, 2.0, 900.0
DRAG_ACROSS, DRAG_ALONG = 0.5, 0.05
TURN = 1.5
"""Radians a second that the base turns at most."""
TURN_TIME = 0.4
"""Seconds in which the base's speed comes near what is asked."""


@dataclass(frozen=True)
class Arms:
    """The state of L arms.

    Attributes:
        position: Of the masses (L, 2, n + 1, 2): dorsal and ventral, from the base, x and y.
        velocity: Of the masses, the same shape.
        angle: Of the base, radians (L,).
        turn: Of the base, radians a second (L,).
    """

    position: Tensor
    velocity: Tensor
    angle: Tensor
    turn: Tensor


class ArmPhysics:
    """Steps many arms at once.

    Args:
        device: Where states live.
        dtype: Of states.
    """

    def __init__(
        self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float64
    ) -> None:
        widths = torch.linspace(1.0, 0.2, COMPARTMENTS + 1, dtype=dtype, device=device)
        along = torch.arange(COMPARTMENTS + 1, dtype=dtype, device=device)
        dorsal = torch.stack([along, widths / 2], 1)
        self._rest = torch.stack([dorsal, dorsal * dorsal.new_tensor([1, -1])])  # angle 0
        self._side = (dorsal[1:] - dorsal[:-1]).norm(dim=1)  # both sides have these lengths
        self._width = widths[1:]
        self._area = _areas(self._rest[None])[0]

    def start(self, angle: Tensor) -> Arms:
        """Straight arms at rest, at angles (L,) of the base."""
        position = _turned(self._rest.to(angle), angle)
        return Arms(position, torch.zeros_like(position), angle, torch.zeros_like(angle))

    def control(self, arms: Arms, actions: Tensor) -> Arms:
        """The arms a control step of 0.1 s later.

        Args:
            arms: Before.
            actions: (L, 32): what turns the base to the left; activations of the dorsal,
                transverse and ventral muscles, each from the base to the tip; what turns the base
                to the right. The left end of this order bends and turns to the left, so that
                weights that are smooth along it mean something. What is below 0 counts as 0.
        """
        left, activation, right = actions.clamp(0, 1).split([1, MUSCLES, 1], 1)
        turn = TURN * (left - right)[:, 0]
        for _ in range(STEPS_PER_CONTROL):
            arms = self._step(arms, activation, turn)
        return arms

    def forces(self, arms: Arms, activation: Tensor) -> Tensor:
        """On all masses (L, 2, n + 1, 2).

        Args:
            arms: The state.
            activation: Of the dorsal, transverse and ventral muscles (L, 30), from 0 to 1.
        """
        dorsal, transverse, ventral = activation.split(COMPARTMENTS, 1)
        position, velocity = arms.position, arms.velocity
        force = self._pressure(position)
        edge, speed = position.diff(dim=2), velocity.diff(dim=2)
        both = torch.stack([dorsal, ventral], 1) * self._width
        pull = _pull(edge, speed, self._side, both)
        drag = _drag(edge, (velocity[:, :, 1:] + velocity[:, :, :-1]) / 2) / 2
        force[:, :, :-1] += pull + drag
        force[:, :, 1:] += drag - pull
        across = position[:, 1, 1:] - position[:, 0, 1:]
        pull = _pull(across, velocity[:, 1, 1:] - velocity[:, 0, 1:], self._width, transverse)
        force[:, 0, 1:] += pull
        force[:, 1, 1:] -= pull
        return force

    def _pressure(self, position: Tensor) -> Tensor:
        pressure = STIFFNESS * (1 - _areas(position) / self._area)
        # The gradient of a polygon's area to a corner is half the line past it, turned.
        a, b = position[:, 1, :-1], position[:, 1, 1:]  # counter-clockwise: ventral, then dorsal
        c, d = position[:, 0, 1:], position[:, 0, :-1]
        first = _quarter_turn(b - d) * (0.5 * pressure)[..., None]  # at a, its opposite at c
        second = _quarter_turn(c - a) * (0.5 * pressure)[..., None]  # at b, its opposite at d
        force = torch.zeros_like(position)
        force[:, 1, :-1] += first
        force[:, 0, 1:] -= first
        force[:, 1, 1:] += second
        force[:, 0, :-1] -= second
        return force

    def _step(self, arms: Arms, activation: Tensor, turn: Tensor) -> Arms:
        velocity = arms.velocity + STEP * self.forces(arms, activation)
        turn = arms.turn + STEP / TURN_TIME * (turn - arms.turn)
        angle = arms.angle + STEP * turn
        position = arms.position + STEP * velocity
        base = _turned(self._rest[:, :1].to(position), angle)
        position[:, :, :1] = base
        velocity[:, :, :1] = turn[:, None, None, None] * -_quarter_turn(base)
        return Arms(position, velocity, angle, turn)


def _pull(edge: Tensor, speed: Tensor, rest: Tensor, activation: Tensor) -> Tensor:
    """The force on the first end of edges (..., 2), towards the other."""
    length: Tensor = edge.norm(dim=-1).clamp(min=1e-9)
    along = edge / length[..., None]
    stretching = (speed * along).sum(-1)
    muscle = MUSCLE * activation * (length - rest / 2).clamp(min=0)
    tension: Tensor = SPRING * (length - rest) + muscle
    pull: Tensor = (tension + DAMPING * stretching)[..., None] * along
    return pull


def _drag(edge: Tensor, speed: Tensor) -> Tensor:
    length: Tensor = edge.norm(dim=-1, keepdim=True).clamp(min=1e-9)
    along = edge / length
    fast = (speed * along).sum(-1, keepdim=True)
    across = speed - fast * along
    slowed = DRAG_ALONG * fast * fast.abs() * along
    water: Tensor = slowed + DRAG_ACROSS * across * across.norm(dim=-1, keepdim=True)
    return -length * water


def _areas(position: Tensor) -> Tensor:
    """Of the compartments (L, n), by the cross product of the diagonals."""
    first = position[:, 0, 1:] - position[:, 1, :-1]
    second = position[:, 0, :-1] - position[:, 1, 1:]
    return 0.5 * (first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0])


def _quarter_turn(vectors: Tensor) -> Tensor:
    """To the right: (x, y) becomes (y, -x)."""
    return torch.stack([vectors[..., 1], -vectors[..., 0]], -1)


def _turned(points: Tensor, angle: Tensor) -> Tensor:
    """Points (..., 2) turned to the left by each angle (L,): (L, ..., 2)."""
    shape = (-1, *[1] * (points.ndim - 1))
    sin, cos = angle.sin().view(shape), angle.cos().view(shape)
    x, y = points[..., 0], points[..., 1]
    return torch.stack([cos * x - sin * y, sin * x + cos * y], -1)
