"""Recipes that start from one another's bundles."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from cuts import assert_same, in_a_process, with_signal

import zoo as package
from zoo.errors import UsageError
from zoo.runs.run import Run
from zoo.training.train import train

RECIPE = """
about: {{summary: A stage, paper: none}}
model: {{name: {model}}}
data: {{name: small-points}}
trainer: {{max_epochs: 2, num_sanity_val_steps: 0, logger: false, enable_progress_bar: false}}
"""
LATER = RECIPE + 'init_from: {{reference: "recipe:{before}"}}\n'
STAGES = '''
import torch
from torch import nn
from zoo_toy.model import ToyNet

class Net(ToyNet):
    """The first stage."""

class Control(ToyNet):
    """The second stage: a new part behind the first one."""

    head = ("control",)

    def __init__(self, features: int, num_classes: int, **rest) -> None:
        super().__init__(features, num_classes, **rest)
        self.control = nn.Linear(num_classes, num_classes)

    def forward(self, points):
        return self.control(super().forward(points).detach())
'''
PLUGIN = """
from zoo.plugin import Dataset, Model, Recipes, hookimpl

ZOO_PLUGIN_API = 1

@hookimpl
def zoo_models():
    return [Model("small-net", "zoo_small.model:Net", "A net"),
            Model("small-control", "zoo_small.model:Control", "A net")]

@hookimpl
def zoo_datasets():
    return [Dataset("small-points", "zoo_small.data:Data", "Points", embedded=True)]

@hookimpl
def zoo_recipes():
    return [Recipes("small", "zoo_small:recipes")]
"""


@pytest.fixture
def stages(write: Any) -> None:
    write(
        {
            "plugin": PLUGIN,
            "model": STAGES,
            "recipes/first.yaml": RECIPE.format(model="small-net"),
            "recipes/second.yaml": LATER.format(model="small-control", before="small/first"),
            "recipes/third.yaml": LATER.format(model="small-control", before="small/second"),
            "recipes/circle.yaml": LATER.format(model="small-net", before="small/circle"),
            "recipes/none.yaml": LATER.format(model="small-net", before="small/frist"),
        }
    )


def test_a_later_stage_has_the_weights_of_the_newest_earlier_one(
    stages: None, zoo: Callable
) -> None:
    train("small/first")
    newest = train("small/first", {"seed": 3})
    done = zoo("train", "small/second", "--trainer.max_epochs", 0)
    assert done.status == 0, done.err
    later, earlier = package.load("recipe:small/second"), package.load(newest.path)
    assert torch.equal(later.classifier.weight, earlier.classifier.weight)
    origin = Run(next(Path("runs/small/second").iterdir())).environment["origin"]
    assert origin["reference"] == "recipe:small/first"
    assert package.evaluate("recipe:small/first") == package.evaluate(newest.path)
    assert zoo("test", "recipe:small/second").status == 0


def test_what_is_missing_is_said_in_order(stages: None, zoo: Callable) -> None:
    done = zoo("train", "small/third")
    assert (done.status, done.out) == (2, "")
    assert "make it first with `zoo train small/first && zoo train small/second`" in done.err
    assert not Path("runs").exists()
    train("small/first")
    done = zoo("train", "small/third", "--out", "mine")
    assert "make it first with `zoo train small/second`" in done.err
    assert not Path("mine").exists()


def test_one_that_is_not_finished_is_to_be_continued(stages: None, zoo: Callable) -> None:
    killed = partial(with_signal, "on_train_batch_end", 7, signal.SIGKILL, lambda **_: first())
    assert in_a_process(killed) == -signal.SIGKILL
    (begun,) = Path("runs/small/first").iterdir()
    done = zoo("train", "small/second")
    assert done.status == 2
    assert f"continue the newest with `zoo train small/first --resume {begun}`" in done.err
    assert train("small/first", resume=begun).finished
    assert train("small/second").finished


def first() -> Run:
    return train("small/first")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("small/circle", "in a circle: small/circle -> small/circle"),
        ("small/none", "did you mean 'small/first'"),
    ],
)
def test_wrong_stages_are_refused(stages: None, zoo: Callable, name: str, said: str) -> None:
    done = zoo("train", name)
    assert (done.status, done.out) == (2, "")
    assert said in done.err
    assert not Path("runs").exists()


def test_stages_in_files_of_the_user(stages: None, zoo: Callable) -> None:
    Path("world.yaml").write_text(RECIPE.format(model="small-net"), encoding="utf-8")
    Path("control.yaml").write_text(
        LATER.format(model="small-control", before="world.yaml"), encoding="utf-8"
    )
    done = zoo("train", "control.yaml")
    assert "make it first with `zoo train world.yaml`" in done.err
    assert zoo("train", "world.yaml").status == 0
    assert zoo("train", "control.yaml").status == 0


@pytest.mark.parametrize("moment", [2, 7])
def test_a_stage_that_is_killed_ends_as_one_that_was_not(stages: None, moment: int) -> None:
    train("small/first")
    whole = train("small/second", out="whole")
    work = partial(train, "small/second")
    cut = partial(with_signal, "on_train_batch_end", moment, signal.SIGKILL, work)
    assert in_a_process(cut) == -signal.SIGKILL
    assert_same(train("small/second", out="cut", resume="auto"), whole)


def test_a_stage_does_not_continue_from_other_weights(stages: None) -> None:
    train("small/first")
    cut = partial(
        with_signal, "on_train_batch_end", 2, signal.SIGKILL, partial(train, "small/second")
    )
    assert in_a_process(cut) == -signal.SIGKILL
    train("small/first", {"seed": 5})
    with pytest.raises(UsageError, match="holds other weights than the run cut began from"):
        train("small/second", resume="cut")
