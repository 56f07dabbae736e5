"""Lightning's averaged weights (EMA): the bundle holds them, and a cut run ends with the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import zoo
from zoo_vision.classifier import Classifier

SETTINGS: dict[str, Any] = {
    "trainer.logger": False,
    "trainer.enable_progress_bar": False,
    "trainer.max_epochs": 2,
    "trainer.limit_train_batches": 6,
    "trainer.limit_test_batches": 1,
    "model.net": "1x8x8-4C3-MP2-N",
}
EMA = {"class_path": "lightning.pytorch.callbacks.EMAWeightAveraging", "init_args": {"decay": 0.8}}
AVERAGED = {**SETTINGS, "trainer.callbacks": [EMA]}


def test_the_bundle_holds_averaged_weights_and_resuming_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bundled(name: str) -> dict[str, torch.Tensor]:
        return load_file(tmp_path / name / "bundle" / "model.safetensors")

    history: list[torch.Tensor] = []

    def cut(self: Classifier, *args: object) -> None:
        if self.trainer.global_step == 8:
            raise KeyboardInterrupt

    def note(self: Classifier, *args: object) -> None:
        history.append(self.network.head.weight.detach().clone())

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "on_train_batch_end", note)
        zoo.train("vision/mpcnn-digits", AVERAGED, out=tmp_path / "whole")
    assert len(history) == 12
    average = history[0]  # the first step copies, each later one moves a fifth of the way
    for weight in history[1:]:
        average = average.lerp(weight, 0.2)
    whole = bundled("whole")
    assert not torch.allclose(whole["network.head.weight"], history[-1])
    assert torch.allclose(whole["network.head.weight"], average, atol=1e-6)

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "on_train_batch_end", cut)
        with pytest.raises(zoo.TrainingInterrupted):
            zoo.train("vision/mpcnn-digits", AVERAGED, out=tmp_path / "cut")
    zoo.train("vision/mpcnn-digits", AVERAGED, resume=tmp_path / "cut")
    resumed = bundled("cut")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
