"""A curriculum of sub-volumes: the learning rate begins anew with each stage, and it resumes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightning.pytorch import Callback, Trainer

import zoo
from zoo.plugin import UsageError
from zoo_segmentation.data.volume_folder import VolumeFolder
from zoo_segmentation.optimizers import restarted, schedule
from zoo_segmentation.pyramid_lstm import SmallPyramidLSTMSegmenter

STAGES = [[2, 4, 4, 4], [1, 4, 6, 6]]
VOLUMES = 6
"""Of which one is test data: five batches of one in an epoch."""


def test_every_stage_has_the_schedule_of_its_own_length():
    factor = restarted(lambda steps: schedule("cosine", steps), [4, 6], 10)
    cosine = {steps: schedule("cosine", steps) for steps in (2, 4)}
    first = [cosine[4](step) for step in range(4)]
    assert [factor(step) for step in range(10)] == [*first, cosine[2](0), cosine[2](1), *first]
    halving = restarted(lambda steps: schedule("halving", steps, floor=0.0), [200], float("inf"))
    assert [halving(step) for step in (0, 100, 199, 200, 300)] == pytest.approx(
        [1, 0.5, 0.5**1.99, 1, 0.5]
    )


def test_a_training_may_end_before_the_last_stage():
    factor = restarted(lambda steps: schedule("onecycle", steps), [4, 60], 10)
    assert 0 < factor(9) < factor(5) <= 1


@pytest.mark.parametrize("restarts", [[0, 2], [3, 2], [2, 2]], ids=str)
def test_wrong_restarts_are_refused(restarts):
    with pytest.raises(UsageError, match="restarts"):
        SmallPyramidLSTMSegmenter(restarts=restarts)


@pytest.fixture
def folder(tmp_path, nifti) -> Path:
    random = np.random.default_rng(0)
    for number in range(VOLUMES):
        image = random.normal(size=(9, 8, 7)).astype(np.float32)
        nifti(tmp_path / "data" / "images" / f"{number}.nii", image)
        nifti(tmp_path / "data" / "labels" / f"{number}.nii", (image > 0).astype(np.uint8))
    return tmp_path / "data"


class Noted(Callback):
    """The size of every batch and the learning rate it is trained with."""

    def __init__(self) -> None:
        self.steps: list[tuple[tuple[int, ...], float]] = []

    def on_train_batch_start(self, trainer, module, batch, number) -> None:
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        self.steps.append((tuple(batch["image"].shape[2:]), rate))


@pytest.mark.parametrize("length", [{"max_epochs": 4}, {"max_steps": 20}], ids=str)
def test_the_learning_rate_begins_anew_where_the_size_changes(folder, length):
    data = VolumeFolder(
        str(folder),
        batch_size=1,
        val_fraction=0,
        patch_size=[6, 6, 6],
        curriculum=STAGES,
    )
    facts = data.facts
    assert facts["restarts"] == [2, 3]
    model = SmallPyramidLSTMSegmenter(
        [3], kernel_size=3, lr=0.01, schedule="halving", half_life=2, restarts=facts["restarts"]
    )
    noted = Noted()
    Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[noted],
        **length,
    ).fit(model, data)
    sizes, rates = zip(*noted.steps, strict=True)
    assert sizes == ((4, 4, 4),) * 10 + ((4, 6, 6),) * 5 + ((6, 6, 6),) * 5
    once = [1e-6 + 0.01 * 0.5 ** (step / 2) for step in range(10)]
    assert rates == pytest.approx(once + once[:5] + once[:5])


def recipe(folder: Path) -> dict[str, Any]:
    return {
        "about": {"summary": "A curriculum"},
        "seed": 3,
        "model": {"name": "pyramid-lstm-small", "hidden": [3], "schedule": "cosine"},
        "data": {
            "name": "volume-folder",
            "root": str(folder),
            "batch_size": 1,
            "val_fraction": 0,
            "patch_size": [6, 6, 6],
            "curriculum": STAGES,
            "flips": [0, 1, 2],
            "noise": 0.1,
        },
        "trainer": {"max_epochs": 4, "logger": False, "enable_progress_bar": False},
    }


@pytest.mark.parametrize("cut", [10, 12], ids=lambda step: f"at step {step}")
def test_a_cut_training_ends_as_one_that_was_never_cut(folder, tmp_path, monkeypatch, cut):
    whole = zoo.train(recipe(folder), out=tmp_path / "whole")
    bundle = json.loads((whole.bundle / "bundle.json").read_text())
    assert bundle["model"]["arguments"]["restarts"] == [2, 3]
    step = SmallPyramidLSTMSegmenter.training_step

    def cut_off(self, batch, number):
        if self.global_step == cut:
            raise KeyboardInterrupt
        return step(self, batch, number)

    with monkeypatch.context() as patch:
        patch.setattr(SmallPyramidLSTMSegmenter, "training_step", cut_off)
        with pytest.raises(zoo.TrainingInterrupted):
            zoo.train(recipe(folder), out=tmp_path / "cut")
    resumed = zoo.train(recipe(folder), resume=tmp_path / "cut")
    name = "model.safetensors"
    assert (resumed.bundle / name).read_bytes() == (whole.bundle / name).read_bytes()
    assert resumed.metrics == whole.metrics
