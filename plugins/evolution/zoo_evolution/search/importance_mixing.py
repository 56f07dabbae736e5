"""Importance mixing: old samples stay where the new distribution is like the old one.

    keep each old z with probability min(1, (1 - alpha) new(z) / old(z))
    until there are enough: draw z from the new distribution and take it with probability
      max(alpha, 1 - old(z) / new(z)); only these are evaluated

What results is distributed exactly as by the new distribution alone: a place holds min(old, (1 -
alpha) new) from the first part and max(alpha new, new - old) from the second, which add up to new.

Sun, Wierstra, Schaul, Schmidhuber: Efficient natural evolution strategies, GECCO 2009
(arXiv:1209.5853), section 3.4.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

LogDensity = Callable[[Tensor], Tensor]
"""From points (n, d) to the logarithms of a density (n,)."""


def kept_of_old(
    points: Tensor, old: LogDensity, new: LogDensity, refresh: float, uniform: Tensor
) -> Tensor:
    """Which old points stay, bool (n,).

    Args:
        points: Drawn from the old distribution (n, d).
        old: Its log-density.
        new: That of the new one.
        refresh: alpha, the least share that is drawn anew.
        uniform: Numbers drawn evenly from 0 to 1 (n,).
    """
    ratio = (new(points) - old(points)).exp()
    return uniform < ((1 - refresh) * ratio).clamp(max=1)


def taken_of_new(
    points: Tensor, old: LogDensity, new: LogDensity, refresh: float, uniform: Tensor
) -> Tensor:
    """Which new points are taken, bool (n,).

    Args:
        points: Drawn from the new distribution (n, d).
        old: The old one's log-density.
        new: Its own.
        refresh: alpha.
        uniform: Numbers drawn evenly from 0 to 1 (n,).
    """
    ratio = (old(points) - new(points)).exp()
    return uniform < (1 - ratio).clamp(min=refresh)


def filled(
    count: int,
    draw: Callable[[int], Tensor],
    take: Callable[[Tensor], Tensor],
) -> Tensor:
    """Points until there are ``count`` of them (count, d).

    Args:
        count: How many.
        draw: From a number to so many points (n, d).
        take: Which of them are taken, bool (n,).
    """
    found = draw(0)
    while len(found) < count:
        points = draw(count)
        found = torch.cat([found, points[take(points)]])
    return found[:count]
