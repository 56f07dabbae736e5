"""``zoo info``: what a run, a bundle, a checkpoint and a dataset are."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import zoo as zoo_package
from zoo.bundles.cost import model_cost
from zoo.bundles.manifest import content_hash
from zoo.training.interruption import TrainingInterrupted
from zoo.training.train import train

SHORT = {"trainer.logger": False, "trainer.enable_progress_bar": False, "trainer.max_epochs": 1}


def row(zoo: Callable, name: object, kind: str) -> dict[str, Any]:
    done = zoo("info", name, "--json")
    assert done.status == 0, done.err
    (found,) = [each for each in json.loads(done.out) if each["kind"] == kind]
    return dict(found)


def test_a_run_and_its_bundle(toy: Any, zoo: Callable) -> None:
    run = train("toy/points", SHORT, out="run")
    found = row(zoo, "run", "run")
    assert found["state"] == "finished"
    assert (found["recipe"], found["model"]) == ("toy/points", "toy-net")
    assert found["data"] == {"name": "toy-points", "split": "standard"}
    assert found["epochs"] == 1
    tested = {k: v for k, v in run.metrics.items() if k.startswith("test/")}
    assert found["metrics"] == tested
    assert found["classes"] == ["cloud 0", "cloud 1", "cloud 2"]
    text = zoo("info", "run").out
    assert "run run\n" in text
    assert "  state: finished\n" in text
    assert found["target"] == "test/accuracy 0.9 (set for these tests)"
    assert "  parameters: 99 trainable, 0 frozen; 0 numbers in buffers\n" in text
    assert "  example input: 2 x 2\n" in text
    bundle = row(zoo, "run/bundle", "bundle")
    assert bundle["cost"] == found["cost"]
    assert bundle["metrics"] == tested
    assert bundle["license"] == {"weights": "as the data's", "data": "yours"}
    assert bundle["size"] == "0.0 MB"


def test_an_unfinished_run_says_how_to_continue(toy: Any, zoo: Callable) -> None:
    with pytest.raises(TrainingInterrupted):
        train("toy/points", {**SHORT, "model.ctrl_c_at_step": 2}, out="run")
    found = row(zoo, "run", "run")
    assert found["state"] == "not finished: zoo train toy/points --resume run"
    assert "classes" not in found


def test_data_say_their_folder_and_their_recipes(
    toy: Any, zoo: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_DATA", "store")
    found = row(zoo, "toy-files", "dataset")
    assert found["license"] == "yours"
    assert found["recipes"] == ["toy/files"]
    assert found["folder"] == "store/toy-files (not there)"
    assert "folder" not in row(zoo, "toy-points", "dataset")
    assert row(zoo, "toy-net", "model")["recipes"] == ["toy/files", "toy/points"]


def test_a_checkpoint_that_is_not_installed(toy: Any, zoo: Callable) -> None:
    assert row(zoo, "toy-trained", "checkpoint")["size"] == "missing"


@pytest.mark.whole_zoo
def test_a_checkpoint_says_size_terms_metrics_and_classes(zoo: Callable) -> None:
    found = row(zoo, "mpcnn-digits", "checkpoint")
    assert found["size"].endswith(" MB")
    assert found["license"]["data"].startswith("CC BY 4.0")
    assert found["metrics"]["test/accuracy"] > 0.98
    assert found["classes"] == [str(digit) for digit in range(10)]


def test_a_bundle_of_before_says_what_its_weights_file_says(toy: Any, zoo: Callable) -> None:
    run = train("toy/points", SHORT, out="run")
    file = run.bundle / "bundle.json"
    content = {k: v for k, v in json.loads(file.read_text()).items() if k != "cost"}
    file.write_text(json.dumps(content | {"sha256": content_hash(content)}))
    assert row(zoo, "run", "run")["cost"] == {"tensors": 4, "numbers": 99}
    text = zoo("info", "run").out
    assert "  weights: 99 numbers in 4 tensors, buffers included\n" in text
    assert "  cost: not recorded; --cost measures it\n" in text
    measured = json.loads(zoo("info", "run", "--cost", "--json").out)[0]["cost"]
    assert measured == model_cost(zoo_package.load("run")).as_dict()


def test_what_a_model_and_a_recipe_cost(toy: Any, zoo: Callable) -> None:
    recipe = json.loads(zoo("info", "toy/points", "--cost", "--json").out)[0]["cost"]
    assert (recipe["trainable"], recipe["example_input"]) == (99, [2, 2])
    done = zoo("info", "toy-net", "--cost")
    assert done.status == 2
    assert "such as `zoo info toy/files --cost`, or a run" in done.err
    assert "omit --cost" in zoo("info", "toy-points", "--cost").err


def test_a_checkpoint_file(toy: Any, zoo: Callable) -> None:
    train("toy/points", SHORT, out="run")
    found = row(zoo, "run/checkpoints/last.ckpt", "checkpoint file")
    assert (found["run"], found["recipe"], found["model"]) == ("run", "toy/points", "toy-net")
