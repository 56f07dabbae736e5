"""A cart and its poles, one at a time and in plain numbers, from Gomez, Schmidhuber, Miikkulainen,
JMLR 9 (2008), appendix A: what the plugin's two versions are tested against."""

from __future__ import annotations

from math import cos, sin

from zoo_evolution.tasks.poles.physics import (
    CART_FRICTION,
    CART_MASS,
    GRAVITY,
    POLE_FRICTION,
    TAU,
    Poles,
)

State = list[float]
"""Positions of the cart and of each pole, then their velocities."""


def acceleration(poles: Poles, state: State, force: float) -> list[float]:
    """Second derivatives of the positions under a force in newtons."""
    count = len(poles.masses)
    cart_speed = state[count + 1]
    pushes, total = 0.0, CART_MASS
    pulls, cosines = [], []
    for number in range(count):
        mass, length = poles.masses[number], poles.half_lengths[number]
        angle, turn = state[1 + number], state[count + 2 + number]
        sine, cosine = sin(angle), cos(angle)
        pull = POLE_FRICTION * turn / (mass * length) + GRAVITY * sine
        pushes += mass * length * turn * turn * sine + 0.75 * mass * cosine * pull
        total += mass * (1 - 0.75 * cosine * cosine)
        pulls.append(pull)
        cosines.append(cosine)
    direction = (cart_speed > 0) - (cart_speed < 0)
    cart = (force - CART_FRICTION * direction + pushes) / total
    turns = [
        -0.75 / length * (cart * cosine + pull)
        for length, cosine, pull in zip(poles.half_lengths, cosines, pulls, strict=True)
    ]
    return [cart, *turns]


def step(poles: Poles, state: State, force: float) -> State:
    """The state a control step of 0.02 s later."""
    return _integrate(poles, _integrate(poles, state, force), force)


def _integrate(poles: Poles, state: State, force: float) -> State:
    half = len(state) // 2

    def slope(at: State) -> State:
        return at[half:] + acceleration(poles, at, force)

    first = slope(state)
    second = slope([s + TAU / 2 * k for s, k in zip(state, first, strict=True)])
    third = slope([s + TAU / 2 * k for s, k in zip(state, second, strict=True)])
    fourth = slope([s + TAU * k for s, k in zip(state, third, strict=True)])
    return [
        s + TAU / 6 * (a + 2 * (b + c) + d)
        for s, a, b, c, d in zip(state, first, second, third, fourth, strict=True)
    ]
