"""The learning rate over training, as the paper has it."""

import pytest

from zoo.plugin import UsageError
from zoo_vision.schedules import SCHEDULES, schedule


def test_exponential_is_the_papers():
    # 0.001 * 0.993^epoch, never below 0.00003.
    factor = schedule("exponential", float("inf"), lambda step: step // 50, decay=0.993, floor=0.03)
    assert factor(49) == 1
    assert factor(50) == factor(99) == pytest.approx(0.993)
    assert factor(50 * 100) == pytest.approx(0.993**100)
    assert factor(50 * 800) == 0.03


def test_the_zoos_own_are_there_too():
    assert set(SCHEDULES) == {"constant", "onecycle", "cosine", "exponential"}
    assert schedule("onecycle", 1000, lambda step: step // 100, warmup=0.2)(100) == pytest.approx(
        0.52
    )
    with pytest.raises(UsageError, match="max_epochs"):
        schedule("cosine", float("inf"), lambda step: step)
    with pytest.raises(UsageError, match="exponential"):
        schedule("linear", 10, lambda step: step)
