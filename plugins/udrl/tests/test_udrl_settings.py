"""Settings of the Trainer that people use every day."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zoo import train

SMALL = {
    "trainer.max_epochs": 1,
    "data.updates_per_iteration": 3,
    "data.iterations_per_epoch": 2,
    "data.warmup_episodes": 6,
    "data.episodes_per_iteration": 3,
    "data.eval_episodes": 3,
    "data.last_few": 3,
    "data.replay_size": 8,
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
def test_a_run_ends_with_its_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {f"trainer.{key}": value for key, value in SETTINGS[name].items()}
    run = train("udrl/cartpole", {**SMALL, **settings}, out=tmp_path / "run")
    assert run.bundle.is_dir()
    assert run.metrics["test/return"] >= 0
