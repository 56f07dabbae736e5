"""What goes to other programs as JSON is JSON."""

from __future__ import annotations

import json
import math

import pytest

from zoo.cli.output import show
from zoo.io.plain_json import metrics_from_json, to_json, without_nan


def test_numbers_that_are_not_finite_become_null_at_every_depth() -> None:
    content = {"a": math.nan, "b": [math.inf, 1.5, {"c": -math.inf}], "d": (1, True, "NaN", None)}
    plain = {"a": None, "b": [None, 1.5, {"c": None}], "d": [1, True, "NaN", None]}
    assert without_nan(content) == plain
    assert json.loads(to_json(content), parse_constant=pytest.fail) == plain


def test_null_figures_are_no_numbers_again() -> None:
    metrics = metrics_from_json({"test/dice": None, "test/loss": 0.5})
    assert math.isnan(metrics["test/dice"])
    assert metrics["test/loss"] == 0.5


def test_rows_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    show([{"name": "Ünit", "test/dice": math.nan}], as_json=True)
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == [
        {"name": "Ünit", "test/dice": None}
    ]
