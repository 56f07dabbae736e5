"""Start from trained weights: what is kept, what is new, what is frozen and when it unfreezes."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import Callback
from PIL import Image
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
    content = json.loads(Path("run/bundle/bundle.json").read_text())
    assert content["facts"]["num_classes"] == 5
    assert content["model"]["arguments"]["num_classes"] == 5
    assert content["model"]["arguments"]["hidden"] == 16  # the bundle's, not the model's default
    source = json.loads((origin.bundle / "bundle.json").read_text())
    assert content["origin"] == {
        "reference": "origin",
        "recipe": "toy/points",
        "sha256": source["files"]["model.safetensors"]["sha256"],
    }
    assert "**Fine-tuned from:** origin" in Path("run/bundle/README.md").read_text()
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
        *others, callbacks = given
        return original(*others, [*callbacks, Stop()])

    monkeypatch.setattr(training, "ResumableTrainer", resumable)
    return Stop


def test_the_same_classes_keep_the_head(origin: Run, before_the_first_step: type[Stop]) -> None:
    package.finetune(origin.path, "toy-points", SHORT, out="run")
    assert same(weights(origin), before_the_first_step.seen, "classifier")
    assert same(weights(origin), before_the_first_step.seen, "body")


def test_new_names_of_the_classes_need_a_new_head(
    digits: Run, pictures: Path, before_the_first_step: type[Stop]
) -> None:
    """Three classes before and after, of other names."""
    first = tune(digits, pictures, out="first")
    (pictures / "red").rename(pictures / "crimson")
    tune(first, pictures, out="second")
    seen = before_the_first_step.seen
    assert not same(weights(first), seen, "network.head")
    assert same(weights(first), seen, "network.convolution")


# A classifier of gray digits, and color pictures of three classes


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Run:
    settings = {**SHORT, "model.net": "1x8x8-4C3-MP2-9N-N", "trainer.limit_train_batches": 3}
    return train("vision/mpcnn-digits", settings, out=tmp_path_factory.mktemp("digits") / "run")


@pytest.fixture
def pictures() -> Path:
    folder = Path("pictures").resolve()
    for number, name in enumerate(("red", "green", "blue")):
        (folder / name).mkdir(parents=True)
        for index in range(10):
            color = [20 + index * 3] * 3
            color[number] = 200
            Image.new("RGB", (12, 10), tuple(color)).save(folder / name / f"{index}.png")
    return folder


def tune(run: Run, pictures: Path, out: str, **options: Any) -> Run:
    changes = {**SHORT, "data.root": str(pictures), "data.batch_size": 4}
    changes |= options.pop("changes", {})
    return package.finetune(run.path, "image-folder", changes, out=out, **options)


def test_a_gray_model_on_color_pictures(digits: Run, pictures: Path) -> None:
    run = tune(digits, pictures, out="run", freeze="backbone")
    assert same(weights(run), weights(digits), "network.convolution")
    content = json.loads((run.bundle / "bundle.json").read_text())
    before = json.loads((digits.bundle / "bundle.json").read_text())
    assert content["preprocessing"] == before["preprocessing"]  # it belongs to the weights kept
    assert content["facts"]["label_names"] == ["blue", "green", "red"]
    found = package.predict(run.path, [pictures])
    assert len(found.rows) == 30
    assert {row["label"] for row in found.rows} <= {"blue", "green", "red"}


def test_two_learning_rates(digits: Run, pictures: Path) -> None:
    changes = {"model.schedule": "constant", "model.lr": 0.002}
    run = tune(digits, pictures, out="run", lr_backbone=0.0005, changes=changes)
    (state,) = torch.load(run.checkpoint, weights_only=True)["optimizer_states"]
    rates = {group["lr"]: len(group["params"]) for group in state["param_groups"]}
    assert set(rates) == {0.002, 0.0005}
    model = package.load(run.path)
    names = [name for name, _ in model.named_parameters()]
    head = [name for name in names if name.startswith("network.head")]
    counts = dict.fromkeys(rates, 0)
    for group in state["param_groups"]:
        counts[group["lr"]] += len(group["params"])
    assert counts == {0.002: len(head), 0.0005: len(names) - len(head)}
    assert not same(weights(run), weights(digits), "network.convolution")


def test_one_learning_rate(origin: Run, zoo: Callable) -> None:
    done = zoo("finetune", "origin", "--lr-backbone", "0.1", "--out", "run")
    assert done.status == 2
    assert "'toy-net' has one learning rate for all: omit --lr-backbone" in done.err
    assert not Path("run").exists()


# Freezing


@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit"])
def test_a_frozen_backbone_is_the_same_to_the_bit(pictures: Path, architecture: str) -> None:
    """Running means of batch normalization and embeddings that no leaf module owns included."""
    pytest.importorskip("timm")
    settings = {"max_epochs": 1, "limit_test_batches": 1, "logger": False}
    recipe = make_recipe(
        {
            "model": {"name": f"timm/{architecture}", "input_size": [32, 32]},
            "data": {"name": "image-folder", "root": str(pictures), "batch_size": 8},
            "trainer": {**settings, "enable_progress_bar": False},
        },
        "timm-pictures",
    )
    first = train(recipe, out="first")
    (pictures / "gray").mkdir()
    for index in range(10):
        Image.new("RGB", (12, 10), (index, index, index)).save(pictures / "gray" / f"{index}.png")
    run = tune(first, pictures, out="second", freeze="backbone")
    before, after = weights(first), weights(run)
    head = [name for name in after if name not in before or before[name].shape != after[name].shape]
    kept = [name for name in before if name not in head]
    assert 0 < len(head) <= 2
    assert len(kept) > 20
    changed = [name for name in kept if not torch.equal(before[name], after[name])]
    assert changed == []


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
    recipe = yaml.safe_load(Path("cut/recipe.yaml").read_text())
    recipe["model"]["ctrl_c_at_step"] = -1
    Path("cut/recipe.yaml").write_text(yaml.safe_dump(recipe))
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
