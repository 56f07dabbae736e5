"""The checks of the kit, by name: each with the reason why it matters and a remedy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to hold of an entry.

    Attributes:
        name: Such as ``overfits-one-batch``; unique.
        kinds: The kinds of entries it is made of.
        why: Why it matters, one line.
        remedy: What to do if it fails.
        run: Called with the subject; raises CheckFailed, Skip or Exempt, may return a note.
    """

    name: str
    kinds: tuple[str, ...]
    why: str
    remedy: str
    run: Callable[[Any], str | None]


CHECKS: dict[str, Check] = {}
"""In the order in which they are made."""


def check(
    name: str, *kinds: str, why: str, remedy: str
) -> Callable[[Callable[[Any], str | None]], Callable[[Any], str | None]]:
    """Register a function as a check."""

    def register(run: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
        assert name not in CHECKS, f"two checks are named {name!r}"
        CHECKS[name] = Check(name, kinds, why, remedy, run)
        return run

    return register
