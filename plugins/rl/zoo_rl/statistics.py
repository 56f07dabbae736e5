"""Means of returns, and how far they can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def bootstrap_interval(
    values: Sequence[float] | np.ndarray,
    confidence: float = 0.95,
    samples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean (Efron: Bootstrap methods, Annals of Statistics 7,
    1979).

    Args:
        values: One value for every episode or every seed.
        confidence: Probability that the interval is meant to cover the mean with.
        samples: How often the values are drawn again, with replacement.
        seed: Of the draws: the same values give the same interval again.

    Returns:
        Lower and upper end. Of a single value both are that value.

    Raises:
        ValueError: there are no values, one is not finite, or the confidence is not a probability
            between 0 and 1.
    """
    numbers = np.asarray(values, dtype=np.float64).reshape(-1)
    if not numbers.size or not np.isfinite(numbers).all():
        raise ValueError("an interval needs one value or more, all of them finite")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; it has to lie between 0 and 1")
    drawn = np.random.default_rng(seed).integers(numbers.size, size=(samples, numbers.size))
    tail = (1 - confidence) / 2
    low, high = np.quantile(numbers[drawn].mean(axis=1), [tail, 1 - tail])
    return float(low), float(high)
