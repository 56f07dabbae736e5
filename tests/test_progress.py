"""The line of an epoch."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from zoo.training.interruption import TrainingInterrupted
from zoo.training.train import train

SHORT = {"trainer.logger": False, "trainer.max_epochs": 2}


def test_a_resumed_epoch_says_the_seconds_since_the_resume(
    toy: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TrainingInterrupted):
        train("toy/points", {**SHORT, "model.ctrl_c_at_step": 2}, out="run")
    uptime = time.monotonic() + 3095.9
    monkeypatch.setattr("zoo.training.progress.time.monotonic", lambda: uptime)
    capsys.readouterr()
    train("toy/points", {"model.ctrl_c_at_step": 2}, resume="run")
    seconds = re.findall(r"^epoch \d/2 .* ([\d.]+) s$", capsys.readouterr().err, re.MULTILINE)
    assert seconds == ["0.0", "0.0"]
