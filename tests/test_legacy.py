"""What zoo 0.1.0 wrote is still read: bundles, runs and their checkpoints."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
import torch

import zoo
from zoo.bundles.bundle import read_bundle
from zoo.bundles.manifest import FORMAT
from zoo.inference.evaluate import experiment_of
from zoo.runs.run import Run
from zoo.training.finetune import finetuning_recipe

LEGACY = Path(__file__).parent / "legacy"
BUNDLE = LEGACY / "bundle-0.1.0"

pytestmark = pytest.mark.whole_zoo


def test_a_bundle_of_before_is_read_under_the_names_of_now() -> None:
    bundle = read_bundle(BUNDLE)
    assert bundle.content["format"] == 1 < FORMAT
    assert bundle.recipe["about"]["target"] == {"metric": "test/return", "value": 475}
    assert "figure" not in bundle.recipe["about"]
    assert bundle.content["license"]["data"] == "generated; no restrictions"
    assert "licence" not in bundle.content


def test_its_model_loads_and_its_data_are_built() -> None:
    model = zoo.load(BUNDLE)
    assert torch.isfinite(model(model.example_input)).all()
    experiment = experiment_of(read_bundle(BUNDLE), {})
    assert experiment.recipe.data["num_envs"] == 20
    assert "places" not in experiment.recipe.data


def test_it_can_be_fine_tuned() -> None:
    recipe = finetuning_recipe(BUNDLE)
    assert recipe.init_from["reference"] == str(BUNDLE)
    assert recipe.data["num_envs"] == 20


def test_a_run_of_before_continues_as_if_nothing_was_renamed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(LEGACY / "run-0.1.0", folder)
    run = Run(folder)
    assert run.recipe.about["target"]["metric"] == "test/return"
    done = zoo.train(run.recipe, {"trainer.max_epochs": 4}, resume=folder)
    assert done.finished
    with (LEGACY / "uncut-metrics.csv").open() as file:
        uncut = list(csv.DictReader(file))
    with done.metrics_csv.open() as file:
        resumed = list(csv.DictReader(file))
    for row in resumed:  # it did not count its episodes then, and does from here on
        del row["episodes"]
    assert resumed == uncut
