"""What a few seeds can say: an interval of a mean, and of the difference of two means.

Plain Python, so that comparing runs loads no numpy.

Sources:
    Efron, Tibshirani: An Introduction to the Bootstrap, 1993, chapter 13 (percentile interval).
    Welch: The generalization of "Student's" problem when several different population variances
        are involved, Biometrika 34, 1947.
    Press et al.: Numerical Recipes, 3rd edition, section 6.4 (incomplete beta function).
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from functools import lru_cache
from statistics import fmean, variance

RESAMPLES = 10_000
LEVEL = 0.95
METHOD = (
    f"percentile bootstrap of the mean, {LEVEL:.0%}, {RESAMPLES} resamples of the seeds, "
    "their random numbers seeded with 0"
)


def bootstrap_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The percentile bootstrap interval of a mean, of ``LEVEL``.

    Args:
        values: One number a seed.

    Returns:
        Its ends; None for fewer than two values. With few values it is too narrow: of five, it
        covers the mean in some 84 of 100 cases instead of 95
        (benchmarks/results/compare-seeds.md).
    """
    if len(values) < 2:
        return None
    count = len(values)
    means = sorted(sum(values[place] for place in places) / count for places in _resamples(count))
    tail = (1 - LEVEL) / 2
    return _quantile(means, tail), _quantile(means, 1 - tail)


def difference_interval(
    one: Sequence[float], other: Sequence[float]
) -> tuple[float, float, float] | None:
    """The mean of ``one`` minus that of ``other``, and Welch's interval of it, of ``LEVEL``.

    Returns:
        The difference and the ends; None where one of them has fewer than two values.
    """
    if min(len(one), len(other)) < 2:
        return None
    difference = fmean(one) - fmean(other)
    parts = [variance(one) / len(one), variance(other) / len(other)]
    total = sum(parts)
    if total == 0.0:  # every seed gave the same
        return difference, difference, difference
    freedom = total**2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (one, other), strict=True)
    )
    reach = student_quantile(1 - (1 - LEVEL) / 2, freedom) * math.sqrt(total)
    return difference, difference - reach, difference + reach


def student_quantile(probability: float, freedom: float) -> float:
    """The quantile of Student's t distribution.

    Args:
        probability: Above 0.5 and below 1.
        freedom: Degrees of freedom, positive, need not be whole.
    """
    low, high = 0.0, 1.0
    while _student_cdf(high, freedom) < probability:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        if _student_cdf(middle, freedom) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _student_cdf(value: float, freedom: float) -> float:
    """Of a value that is not negative."""
    return 1 - 0.5 * _incomplete_beta(freedom / (freedom + value**2), freedom / 2, 0.5)


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function, by its continued fraction."""
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Lentz's method."""
    tiny = 1e-300
    c, d = 1.0, 1 / _apart(1 - (a + b) * x / (a + 1), tiny)
    found = d
    for m in range(1, 1000):
        for factor in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _apart(1 + factor * d, tiny)
            c = _apart(1 + factor / c, tiny)
            found *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return found


def _apart(value: float, tiny: float) -> float:
    """The value, kept from zero."""
    return value if abs(value) > tiny else tiny


@lru_cache(maxsize=8)
def _resamples(count: int) -> list[list[int]]:
    """Positions of ``RESAMPLES`` samples of as many values, with replacement."""
    draw = random.Random(0)
    positions = range(count)
    return [draw.choices(positions, k=count) for _ in range(RESAMPLES)]


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Linear between neighbors."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
