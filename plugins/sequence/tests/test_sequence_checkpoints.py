"""What the shipped checkpoint makes of a recording (measured in tests/test_shipped_checkpoints)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from zoo import load


def test_digits_are_read_with_their_times(real: Callable[[str], Path]) -> None:
    model = load("spoken-digits")
    path = real("fsdd") / "recordings" / "7_theo_0.wav"
    row = model.describe_prediction(model.predict_sample(model.read_file(path)))
    assert row["text"] == "7"
    assert row["confidence"] > 0.5
