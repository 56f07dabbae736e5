"""Start from trained weights: what is kept, what is new, what is frozen and when it unfreezes."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch import Callback
from safetensors.torch import load_file

import zoo as package
from zoo.errors import UsageError
from zoo.recipes.recipe import make_recipe
from zoo.runs.run import Run
from zoo.training import train as training
from zoo.training.interruption import TrainingInterrupted
from zoo.training.train import train
from zoo.training.warm_start import Freeze

QUIET = {"trainer.logger": False, "trainer.enable_progress_bar": False}
SHORT = {**QUIET, "trainer.max_epochs": 1}


def weights(run: Run | Path | str) -> dict[str, torch.Tensor]:
    path = run.path if isinstance(run, Run) else Path(run)
    return load_file(path / "bundle" / "model.safetensors")


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor], part: str) -> bool:
    names = [name for name in left if name.startswith(part)]
    assert names
    return all(torch.equal(left[name], right[name]) for name in names)


@pytest.fixture
def origin(toy: Any) -> Run:
    return train("toy/points", {**QUIET, "trainer.max_epochs": 2}, out="origin")


# The head


def test_other_classes_get_a_new_head(origin: Run, zoo: Callable) -> None:
    words = ["--data.clouds", "5", "--freeze", "backbone", "--out", "run"]
    done = zoo("finetune", "origin", "--data", "toy-points", *words, "--trainer.max_epochs", "1")
    assert done.status == 0, done.err
    assert "origin: 2 tensors matched, 2 missing, 0 unexpected, 0 reshaped" in done.err
    for name in ("classifier.weight", "classifier.bias"):
        assert any(name in line and "missing" in line for line in done.err.splitlines())
    tuned = weights("run")
    assert same(tuned, weights(origin), "body")
    assert tuned["classifier.weight"].shape == (5, 16)
    content = json.loads(Path("run/bundle/bundle.json").read_text(encoding="utf-8"))
    assert content["facts"]["num_classes"] == 5
    assert content["model"]["arguments"]["num_classes"] == 5
    assert content["model"]["arguments"]["hidden"] == 16  # the bundle's, not the model's default
    source = json.loads((origin.bundle / "bundle.json").read_text())
    assert content["origin"] == {
        "reference": "origin",
        "recipe": "toy/points",
        "sha256": source["files"]["model.safetensors"]["sha256"],
    }
    assert "**Fine-tuned from:** origin" in Path("run/bundle/README.md").read_text(encoding="utf-8")
    assert package.load("run")(torch.zeros(1, 2)).shape == (1, 5)


class Stop(Callback):
    """Keeps the weights as they are before the first step."""

    seen: dict[str, torch.Tensor]

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        type(self).seen = {name: t.clone() for name, t in pl_module.state_dict().items()}


@pytest.fixture
def before_the_first_step(monkeypatch: pytest.MonkeyPatch) -> type[Stop]:
    original = training.ResumableTrainer

    def resumable(*given: Any) -> Any:
        *others, callbacks, budget = given
        return original(*others, [*callbacks, Stop()], budget)

    monkeypatch.setattr(training, "ResumableTrainer", resumable)
    return Stop


def test_the_same_classes_keep_the_head(origin: Run, before_the_first_step: type[Stop]) -> None:
    package.finetune(origin.path, "toy-points", SHORT, out="run")
    assert same(weights(origin), before_the_first_step.seen, "classifier")
    assert same(weights(origin), before_the_first_step.seen, "body")


# A classifier of images


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, with_toy: Callable) -> Run:
    with with_toy():
        return train("toy/images", SHORT, out=tmp_path_factory.mktemp("images") / "run")


def tune(run: Run, out: str, names: str, **options: Any) -> Run:
    """Adapt to patterns of these names."""
    changes = {**SHORT, "data.names": names, **options.pop("changes", {})}
    return package.finetune(run.path, overrides=changes, out=out, **options)


def test_new_names_of_the_classes_need_a_new_head(
    toy: Any, images: Run, before_the_first_step: type[Stop]
) -> None:
    """Three classes before and after, of other names."""
    tune(images, "run", "[lines, bars, squares]")
    seen = before_the_first_step.seen
    assert not same(weights(images), seen, "network.head")
    assert same(weights(images), seen, "network.convolution")


def test_preprocessing_belongs_to_the_weights_and_labels_to_the_data(toy: Any, images: Run) -> None:
    changes = {"model.std": "[0.5]"}
    run = tune(images, "run", "[lines, bars]", freeze="backbone", changes=changes)
    before, content = (
        json.loads((each.bundle / "bundle.json").read_text()) for each in (images, run)
    )
    assert content["preprocessing"]["mean"] == before["preprocessing"]["mean"]
    assert content["preprocessing"]["std"] == [0.5]  # unless somebody wants another
    assert content["facts"]["label_names"] == ["lines", "bars"]
    np.save("one.npy", np.zeros((1, 8, 8), np.uint8))
    (row,) = package.predict(run.path, ["one.npy"]).rows
    assert set(row["probabilities"]) == {"lines", "bars"}


def test_two_learning_rates(toy: Any, images: Run) -> None:
    changes = {"model.lr": 0.002}
    run = tune(images, "run", "[lines, bars]", lr_backbone=0.0005, changes=changes)
    (state,) = torch.load(run.checkpoint, weights_only=True)["optimizer_states"]
    model = package.load(run.path)
    names = [name for name, _ in model.named_parameters()]
    head = [name for name in names if name.startswith("network.head")]
    counts: dict[float, int] = {}
    for group in state["param_groups"]:
        counts[group["lr"]] = counts.get(group["lr"], 0) + len(group["params"])
    assert counts == {0.002: len(head), 0.0005: len(names) - len(head)}
    assert not same(weights(run), weights(images), "network.convolution")


def test_one_learning_rate(origin: Run, zoo: Callable) -> None:
    done = zoo("finetune", "origin", "--lr-backbone", "0.1", "--out", "run")
    assert done.status == 2
    assert "'toy-net' has one learning rate for all: omit --lr-backbone" in done.err
    assert not Path("run").exists()


# Freezing


def test_a_frozen_backbone_is_the_same_to_the_bit(toy: Any, images: Run) -> None:
    """Running means of batch normalization and parameters that no leaf module owns included."""
    run = tune(images, "run", "[lines, bars]", freeze="backbone")
    before, after = weights(images), weights(run)
    kept = {name for name in before if not name.startswith("network.head.")}
    assert {"network.position", "network.norm.running_mean", "network.norm.weight"} < kept
    assert [name for name in kept if not torch.equal(before[name], after[name])] == []
    assert before["network.head.weight"].shape != after["network.head.weight"].shape


def bodies(run: Run) -> dict[str, torch.Tensor]:
    state = torch.load(run.checkpoint, weights_only=True)["state_dict"]
    return {name: t for name, t in state.items() if name.startswith("body")}


def test_freezing_for_good(origin: Run) -> None:
    changes = {**QUIET, "data.clouds": 4}
    run = package.finetune("origin", overrides=changes, freeze="backbone", out="a")
    assert run.environment["epochs"] == 2
    assert same(weights(run), weights(origin), "body")
    free = package.finetune("origin", overrides=changes, out="b")
    assert not same(weights(free), weights(origin), "body")


@pytest.mark.parametrize("unfreeze", [0, 1, 2])
def test_unfreezing_at_an_epoch(
    origin: Run, monkeypatch: pytest.MonkeyPatch, unfreeze: int
) -> None:
    frozen: list[bool] = []
    original = Freeze.on_train_epoch_start

    def note(self: Freeze, trainer: Any, pl_module: Any) -> None:
        original(self, trainer, pl_module)
        frozen.append(not any(p.requires_grad for p in pl_module.body.parameters()))
        assert all(p.requires_grad for p in pl_module.classifier.parameters())

    monkeypatch.setattr(Freeze, "on_train_epoch_start", note)
    changes = {**QUIET, "trainer.max_epochs": 3}
    run = package.finetune(
        "origin", overrides=changes, freeze="backbone", unfreeze_at_epoch=unfreeze, out="run"
    )
    assert frozen == [epoch < unfreeze for epoch in range(3)]
    assert not same(weights(run), weights(origin), "body")


@pytest.mark.parametrize("step", [2, 5, 7, 12])
def test_unfreezing_and_a_stop(origin: Run, step: int) -> None:
    """Five steps an epoch: stopped before the unfreeze, at it, and after it."""
    options: dict[str, Any] = {"freeze": "backbone", "unfreeze_at_epoch": 1}
    changes = {**QUIET, "trainer.max_epochs": 3, "data.clouds": 4}
    whole = package.finetune("origin", overrides=changes, out="whole", **options)
    stopping = {**changes, "model.ctrl_c_at_step": step}
    with pytest.raises(TrainingInterrupted):
        package.finetune("origin", overrides=stopping, out="cut", **options)
    recipe = yaml.safe_load(Path("cut/recipe.yaml").read_text(encoding="utf-8"))
    recipe["model"]["ctrl_c_at_step"] = -1
    Path("cut/recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    again = package.finetune("origin", overrides=changes, resume="cut", **options)
    assert again.path == Path("cut")
    assert same(weights(again), weights(whole), "")
    assert again.metrics_csv.read_text() == whole.metrics_csv.read_text()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# The recipe of a fine-tuning


def test_the_recipe_repeats_the_run(origin: Run) -> None:
    changes = {**QUIET, "data.clouds": 4, "trainer.max_epochs": 2}
    options: dict[str, Any] = {"freeze": "backbone", "unfreeze_at_epoch": 1}
    run = package.finetune("origin", overrides=changes, out="run", **options)
    recipe = yaml.safe_load(run.recipe_file.read_text())
    assert recipe["init_from"] == {"reference": "origin", **options}
    again = train(run.recipe_file, out="again")
    assert same(weights(again), weights(run), "")
    assert again.metrics == run.metrics


def test_the_bundles_settings_unless_overridden(origin: Run) -> None:
    run = package.finetune("origin", overrides={"trainer.max_epochs": 1}, out="run")
    assert run.recipe.model["hidden"] == 16
    assert run.recipe.seed == 3
    assert run.recipe.trainer["max_epochs"] == 1
    assert "logger" not in run.recipe.trainer  # what watches a training is this user's matter
    assert run.environment["recipe"] == "finetune/points-toy-points"


def test_wrong_calls(origin: Run, zoo: Callable) -> None:
    for words, message in {
        ("absent",): "there is no checkpoint 'absent'",
        ("origin", "--data", "toy-point"): "did you mean 'toy-points'",
        ("origin", "--unfreeze-at-epoch", "1"): "needs 'init_from.freeze: backbone'",
        ("origin", "--freeze", "backbone", "--unfreeze-at-epoch", "-1"): "counts epochs from 0",
        ("origin", "--freeze", "head"): "invalid choice: 'head'",
        ("origin", "--model.hiden", "3"): "hidden",
        ("origin", "--model.hidden", "5"): "do not fit ToyNet",
    }.items():
        done = zoo("finetune", *words, "--out", "run")
        assert done.status == 2, words
        assert message in done.err
        assert not Path("run").exists()


def test_a_recipe_with_a_wrong_init_from(origin: Run) -> None:
    for key, message in {
        "freeze": "'init_from.reference' is missing",
        "form": "form",
    }.items():
        content = {
            "model": {"name": "toy-net"},
            "data": {"name": "toy-points"},
            "init_from": {key: "none"},
        }
        with pytest.raises(UsageError, match=message):
            train(make_recipe(content, "mine"), out="run")
        assert not Path("run").exists()
