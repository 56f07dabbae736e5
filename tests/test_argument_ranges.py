"""The checks of arguments that plugins share: what is in range passes, the rest is told by name."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from zoo.plugin import UsageError, above, at_least, fractions, one_of, require, within


@pytest.mark.parametrize(
    "call",
    [
        lambda: above("lr", 1e-9, 0),
        lambda: at_least("size", 1, 1),
        lambda: within("share", 0, 0, 1),
        lambda: within("share", 1, 0, 1),
        lambda: within("share", 0.99, 0, 1, below=True),
        lambda: fractions(val=0.5, test=0.4),
        lambda: one_of("kind", "a", ("a", "b")),
        lambda: require(True, "never said"),
    ],
)
def test_in_range(call: Callable[[], None]) -> None:
    call()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: above("lr", 0, 0), "lr has to be above 0, not 0"),
        (lambda: above("lr", math.nan, 0), "lr has to be above 0, not nan"),
        (lambda: at_least("size", 0, 1), "size has to be 1 or more, not 0"),
        (lambda: within("share", 1.5, 0, 1), "share has to be from 0 to 1, not 1.5"),
        (
            lambda: within("share", 1, 0, 1, below=True),
            "share has to be 0 or more and below 1, not 1",
        ),
        (
            lambda: fractions(val=0.5, test=0.5),
            "val=0.5 and test=0.5: each has to be 0 or more, and together they have to be below 1",
        ),
        (
            lambda: fractions(val=-0.1),
            "val=-0.1: each has to be 0 or more, and together they have to be below 1",
        ),
        (lambda: require(False, "both are needed"), "both are needed"),
    ],
)
def test_out_of_range(call: Callable[[], None], told: str) -> None:
    with pytest.raises(UsageError) as raised:
        call()
    assert str(raised.value) == told
