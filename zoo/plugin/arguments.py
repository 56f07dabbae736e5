"""Checks of constructor arguments: what is wrong, in one sentence, as a ``UsageError``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zoo.errors import UsageError, nearest


def one_of(name: str, value: Any, choices: Iterable[Any]) -> None:
    """Require a value out of a few.

    Args:
        name: The argument, for the message.
        value: What was given.
        choices: What may be given.

    Raises:
        UsageError: it is not one of them; the sentence names the nearest one.
    """
    known = list(choices)
    if value in known:
        return
    near = nearest(str(value), map(str, known), 1)
    hint = f"; did you mean {near}?" if near else ""
    listed = ", ".join(map(str, known))
    raise UsageError(f"{name} has to be one of {listed}, not {value!r}{hint}")


def at_least(name: str, value: float, minimum: float) -> None:
    """Require a number that is not below ``minimum``; NaN is.

    Raises:
        UsageError: it is below.
    """
    if not value >= minimum:
        raise UsageError(f"{name} has to be {minimum:g} or more, not {value:g}")


def above(name: str, value: float, limit: float) -> None:
    """Require a number above ``limit``; NaN is not.

    Raises:
        UsageError: it is not.
    """
    if not value > limit:
        raise UsageError(f"{name} has to be above {limit:g}, not {value:g}")


def within(name: str, value: float, low: float, high: float, *, below: bool = False) -> None:
    """Require a number from ``low`` to ``high``, both included; with ``below``, under ``high``.

    Raises:
        UsageError: it is outside.
    """
    if not (low <= value < high if below else low <= value <= high):
        end = f"{low:g} or more and below {high:g}" if below else f"from {low:g} to {high:g}"
        raise UsageError(f"{name} has to be {end}, not {value:g}")


def fractions(**values: float) -> None:
    """Require fractions of one whole that leave something of it: each from 0, together below 1.

    Raises:
        UsageError: they do not; names all of them.
    """
    if not (all(value >= 0 for value in values.values()) and sum(values.values()) < 1):
        stated = " and ".join(f"{name}={value:g}" for name, value in values.items())
        raise UsageError(
            f"{stated}: each has to be 0 or more, and together they have to be below 1"
        )


def require(held: bool, otherwise: str) -> None:
    """Require what the other checks do not say.

    Args:
        held: Whether all is well.
        otherwise: The message if not: what is wrong, and what to do.

    Raises:
        UsageError: all is not well.
    """
    if not held:
        raise UsageError(otherwise)
