"""``zoo info``: what a run, a bundle, a checkpoint and a dataset are."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

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
    bundle = row(zoo, "run/bundle", "bundle")
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
