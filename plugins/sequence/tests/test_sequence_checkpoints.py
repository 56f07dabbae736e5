"""What shipped checkpoints make of files (they are measured in tests/test_shipped_checkpoints)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from zoo import load
from zoo_sequence.data.series import read_series


def test_digits_are_read_with_their_times(real: Callable[[str], Path]) -> None:
    model = load("spoken-digits")
    path = real("fsdd") / "recordings" / "7_theo_0.wav"
    row = model.describe_prediction(model.predict_sample(model.read_file(path)))
    assert row["text"] == "7"
    assert row["confidence"] > 0.5


def test_a_speaker_is_told_by_a_file_of_steps(real: Callable[[str], Path], tmp_path: Path) -> None:
    model = load("japanese-vowels")
    case = read_series(real("series") / "JapaneseVowels/JapaneseVowels_TEST.ts")[40]
    np.savetxt(tmp_path / "case.csv", case.values, delimiter=",")
    told = model.predict_step(model.read_file(tmp_path / "case.csv")[None], 0)[0]
    assert model.describe_prediction(told)["label"] == case.label
