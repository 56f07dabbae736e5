"""The shipped checkpoints measure what their cards say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import zoo
from zoo import load

ROOTS = {"spoken-digits": "fsdd"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ROOTS)
def test_a_checkpoint_measures_as_its_card_says(name: str, real: Callable[[str], Path]) -> None:
    import zoo_sequence

    folder = Path(zoo_sequence.__file__).parent / "checkpoints" / name
    card = (folder / "README.md").read_text()
    found = zoo.evaluate(name, {"data.root": str(real(ROOTS[name]))})
    shown = {
        cells[1].strip(" `"): float(cells[2])
        for line in card.splitlines()
        if len(cells := line.split("|")) == 4 and "test/" in cells[1]
    }
    assert shown
    for metric, value in shown.items():
        assert found[metric] == pytest.approx(value, rel=1e-4, abs=1e-5), metric


def test_digits_are_read_with_their_times(real: Callable[[str], Path]) -> None:
    model = load("spoken-digits")
    path = real("fsdd") / "recordings" / "7_theo_0.wav"
    row = model.describe_prediction(model.predict_sample(model.read_file(path)))
    assert row["text"] == "7"
    assert row["confidence"] > 0.5
