"""Settings of the Trainer that people use every day."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zoo import train

SMALL = {
    "trainer.max_epochs": 1,
    "data.num_speakers": 2,
    "data.repetitions": 4,
    "data.size": [10, 16],
}

SETTINGS: dict[str, dict[str, Any]] = {
    "64-true": {"precision": "64-true"},
    "bf16-true": {"precision": "bf16-true"},
    "16-true": {"precision": "16-true"},
    "bf16-mixed, clipped": {"precision": "bf16-mixed", "gradient_clip_val": 0.5},
    "16-mixed, clipped": {"precision": "16-mixed", "gradient_clip_val": 0.5},
    "clipped by value": {"gradient_clip_val": 0.5, "gradient_clip_algorithm": "value"},
    "overfit_batches": {"overfit_batches": 1},
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize(
    "model",
    [
        "lipreader-ctc",
        pytest.param("lipreader", marks=pytest.mark.slow),
        pytest.param("av-fusion", marks=pytest.mark.slow),
    ],
)
def test_a_run_ends_with_its_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, model: str
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {f"trainer.{key}": value for key, value in SETTINGS[name].items()}
    run = train(f"lipreading/{model}-talking-mouths", {**SMALL, **settings}, out=tmp_path / "run")
    assert run.bundle.is_dir()
    assert run.metrics["test/loss"] >= 0
