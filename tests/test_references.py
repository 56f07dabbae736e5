"""Arguments that name trained models: found at the start, kept in the bundle."""

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
from zoo.testing import cases
from zoo.training.train import train

RECIPE = """
about: {{summary: A stage, paper: none}}
model: {model}
data: {data}
trainer: {{max_epochs: 2, num_sanity_val_steps: 0, logger: false, enable_progress_bar: false}}
"""
WORLD = RECIPE.format(model="{name: toy-net}", data="{name: toy-points}")
PLAYER = RECIPE.format(
    model='{name: small-player, world: "recipe:small/first", more: ["recipe:small/other"]}',
    data='{name: seen-points, encoder: "recipe:small/first"}',
)
MODEL = '''
from torch import nn
from zoo.plugin import Reference, trained_model
from zoo_toy.model import ToyNet


class Player(ToyNet):
    """Acts on what trained models say of the points."""

    head = ()

    def __init__(
        self, features: int, num_classes: int, world: Reference, more: list[Reference], **rest
    ) -> None:
        """Build it.

        Args:
            world: A model of the world.
            more: Others.
        """
        super().__init__(features, num_classes, **rest)
        self.worlds = nn.ModuleList([trained_model(each) for each in [world, *more]])
        self.control = nn.Linear(num_classes, num_classes)

    def forward(self, points):
        return self.control(sum(each(points) for each in self.worlds)) + super().forward(points)
'''
DATA = '''
from zoo.plugin import Reference, trained_model
from zoo_toy.data import Points


class Seen(Points):
    """Points, and the model that sees them."""

    def __init__(self, encoder: Reference, **rest) -> None:
        """Build it.

        Args:
            encoder: What sees them.
        """
        super().__init__(**rest)
        self.encoder = trained_model(encoder)
'''
PLUGIN = """
from zoo.plugin import Dataset, Model, Recipes, hookimpl

ZOO_PLUGIN_API = 1

@hookimpl
def zoo_models():
    return [Model("small-player", "zoo_small.model:Player", "A net")]

@hookimpl
def zoo_datasets():
    return [Dataset("seen-points", "zoo_small.data:Seen", "Points", embedded=True)]

@hookimpl
def zoo_recipes():
    return [Recipes("small", "zoo_small:recipes")]
"""


@pytest.fixture
def stages(write: Any) -> None:
    write(
        {
            "plugin": PLUGIN,
            "model": MODEL,
            "data": DATA,
            "recipes/first.yaml": WORLD,
            "recipes/other.yaml": WORLD,
            "recipes/player.yaml": PLAYER,
        }
    )


@pytest.fixture
def world(stages: None) -> Run:
    train("small/other")
    return train("small/first")


def test_what_is_missing_is_said_in_order(stages: None, zoo: Callable) -> None:
    done = zoo("train", "small/player", "--init_from.reference", "recipe:small/other")
    assert (done.status, done.out) == (2, "")
    assert (
        "recipe:small/other and recipe:small/first: there is no run of the recipes 'small/other' "
        "and 'small/first' under runs/: make them first with `zoo train small/other && zoo train "
        "small/first`"
    ) in done.err
    done = zoo("train", "small/player", "--model.world", "gone", "--out", "mine")
    assert (done.status, done.out) == (2, "")
    assert not list(Path().iterdir())


def test_a_bundle_holds_the_models_that_it_names(world: Run, zoo: Callable) -> None:
    run = train("small/player", out="played")
    assert run.recipe.model["world"] == run.recipe.data["encoder"] == str(world.path)
    whole, points = package.load("played"), torch.randn(3, 2)
    for name, tensor in package.load(world.path).state_dict().items():
        assert torch.equal(whole.worlds[0].state_dict()[name], tensor)
    Path("runs").rename("elsewhere")
    for reference in ("played", "played/bundle", "played/checkpoints/last.ckpt"):
        assert torch.equal(package.load(reference)(points), whole(points))
    done = zoo("test", "played")
    assert done.status == 2
    assert f"'data.encoder' names the trained model '{world.path}'" in done.err
    encoder = Path("elsewhere") / world.path.relative_to("runs")
    assert zoo("test", "played", "--data.encoder", encoder).status == 0
    done = zoo("train", "played/recipe.yaml", "--out", "again")
    assert (done.status, done.out) == (2, "")
    assert "name another with --model.world REF" in done.err
    assert not Path("again").exists()


def test_a_killed_run_continues_with_the_models_that_it_began_with(world: Run) -> None:
    whole = train("small/player", out="whole")
    work = partial(train, "small/player")
    killed = partial(with_signal, "on_train_batch_end", 7, signal.SIGKILL, work)
    assert in_a_process(killed) == -signal.SIGKILL
    newer = train("small/first", {"seed": 3})
    kept = world.path.rename("kept")
    newer.path.rename(world.path)
    with pytest.raises(UsageError, match="holds other weights than the run cut began with"):
        train("small/player", resume="cut")
    world.path.rename("newer")
    kept.rename(world.path)
    assert_same(train("small/player", out="cut", resume="auto"), whole)


def test_the_kit_trains_what_is_named(stages: None) -> None:
    checks = ("builds", "references", "facts-true", "recipe-trains")
    found = [
        case.run()
        for case in cases("small")
        if case.check.name in checks and case.subject.name not in ("small/first", "small/other")
    ]
    assert [str(each) for each in found if each.outcome != "passed"] == []
    assert [each.check for each in found] == [*checks]
