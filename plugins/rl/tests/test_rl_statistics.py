"""Bootstrap intervals."""

from __future__ import annotations

import numpy as np
import pytest

from zoo_rl.statistics import bootstrap_interval


def test_it_is_the_quantiles_of_resampled_means() -> None:
    values = np.random.default_rng(1).normal(3, 2, 40)
    source = np.random.default_rng(0)
    drawn = source.integers(40, size=(2000, 40))
    means = sorted(sum(values[i] for i in row) / 40 for row in drawn)
    low, high = bootstrap_interval(values)
    assert low == pytest.approx(np.quantile(means, 0.025))
    assert high == pytest.approx(np.quantile(means, 0.975))


def test_it_is_near_the_normal_interval_of_many_values() -> None:
    values = np.random.default_rng(2).normal(10, 3, 4000)
    low, high = bootstrap_interval(values, confidence=0.9)
    half = 1.645 * values.std() / np.sqrt(4000)
    assert low == pytest.approx(values.mean() - half, abs=0.02)
    assert high == pytest.approx(values.mean() + half, abs=0.02)


def test_it_covers_the_mean_as_often_as_it_says() -> None:
    source = np.random.default_rng(3)
    covered = 0
    for seed in range(200):
        low, high = bootstrap_interval(source.normal(0, 1, 50), 0.8, samples=300, seed=seed)
        covered += low <= 0 <= high
    assert 0.7 < covered / 200 < 0.9


def test_one_value_is_its_own_interval() -> None:
    assert bootstrap_interval([7.0]) == (7.0, 7.0)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")]])
def test_what_has_no_mean_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        bootstrap_interval(values)


def test_a_confidence_outside_0_and_1_is_refused() -> None:
    with pytest.raises(ValueError, match=r"confidence is 95"):
        bootstrap_interval([1.0, 2.0], confidence=95)
