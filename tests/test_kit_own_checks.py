"""Checks that a plugin brings for its own classes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from small_plugin import MODEL, Faults, data, make, model

from zoo.testing import cases

CHECK = '''
def positive(subject):
    """Negative scores mean nothing here.

    Let forward end in an exponential.
    """
    %s

'''


def with_check(body: str) -> Faults:
    found = model("conformance_checks = {'positive': positive}")["model"]
    own = MODEL.partition("class Net")[0] + CHECK % body
    return {"model": own + "class Net" + found.partition("class Net")[2]}


def test_a_check_that_holds(write: Callable) -> None:
    write(with_check("return f'{type(subject).__name__}, training: {subject.training}'"))
    result = make("positive", "model")
    assert (result.outcome, result.note) == ("passed", "Net, training: False")
    assert "model-small-net-positive" in [str(case) for case in cases("small")]


@pytest.mark.parametrize(
    ("body", "note"),
    [
        ("assert subject.example_input.sum() > 0, 'the sum is 0'", "the sum is 0"),
        ("assert False", "its assertion does not hold"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_check_that_fails_says_why_and_what_to_do(write: Callable, body: str, note: str) -> None:
    write(with_check(body))
    result = make("positive", "model")
    assert result.outcome == "failed"
    assert note in result.note
    assert result.why == "Negative scores mean nothing here."
    assert result.remedy == "Let forward end in an exponential."


def test_a_dataset_has_its_own_too(write: Callable) -> None:
    body = '''
        def many(data):
            """Few points are noise."""
            assert len(data.train_dataloader().dataset) == 7, "not 7"

        conformance_checks = {"many": many}
    '''
    write(data(body))
    result = make("many", "dataset")
    assert (result.outcome, result.note) == ("failed", "not 7")
    assert result.remedy == "see its docstring"
