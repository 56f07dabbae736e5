"""Settings of the Trainer that people use every day."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zoo import train

SMALL = {
    "trainer.max_epochs": 1,
    "data.batches_per_epoch": 3,
    "data.eval_episodes": 8,
    "model.baseline": True,
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
    "estimator",
    ["weighted-hpg", *(pytest.param(each, marks=pytest.mark.slow) for each in ("gcpg", "hpg"))],
)
def test_a_run_ends_with_its_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, estimator: str
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {f"trainer.{key}": value for key, value in SETTINGS[name].items()}
    run = train(
        "hpg/bitflip8", {**SMALL, "model.estimator": estimator, **settings}, out=tmp_path / "run"
    )
    assert run.bundle.is_dir()
    assert run.metrics["test/return"] >= 0
