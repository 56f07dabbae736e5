"""What a bundle's arguments ask for is compared with its weights before memory is taken."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hostile.bundles import edit

from zoo.bundles.load import load
from zoo.errors import UsageError
from zoo.training.train import train

LOOKS = """
    def __init__(self, features: int, num_classes: int = 77, units: int = 4, **rest):
        super().__init__(features, num_classes, **rest)
        self.save_hyperparameters()
        self.register_buffer("steps", torch.linspace(0, 1, units))
        self.rate = self.steps[-1].item()
"""
DRAWS = """
    def __init__(self, features: int, num_classes: int = 77, **rest):
        super().__init__(features, num_classes, **rest)
        self.save_hyperparameters()
        import random, numpy, warnings
        warnings.warn("drawn")
        self.register_buffer("drawn", torch.tensor([random.random(), numpy.random.rand()]))
"""
LAZY = """
    def __init__(self, features: int, num_classes: int = 77, **rest):
        super().__init__(features, num_classes, **rest)
        self.save_hyperparameters()
        self.body = nn.Sequential(nn.LazyLinear(8), nn.ReLU())
        self.classifier = nn.LazyLinear(num_classes)
    def setup(self, stage):
        self(self.example_input)
"""


@pytest.fixture
def bundle_of(write: Callable) -> Callable[[str], Path]:
    def make(constructor: str) -> Path:
        from small_plugin import MODEL

        write({"model": MODEL + constructor})
        quiet = {"trainer.max_epochs": 1, "trainer.logger": False}
        recipe = {"model": {"name": "small-net"}, "data": {"name": "small-points"}}
        return train(recipe, quiet, out="run").bundle

    return make


def test_a_class_that_looks_into_its_tensors(bundle_of: Callable) -> None:
    bundle = bundle_of(LOOKS)
    assert load(bundle).rate == 1.0
    edit(bundle, lambda content: content["model"]["arguments"].update(units=10**9))
    with pytest.raises(UsageError, match="far larger than the 5 tensors it holds"):
        load(bundle)
    edit(bundle, lambda content: content["model"]["arguments"].update(units=-1))
    with pytest.raises(UsageError, match=r"does not build its 'small-net' \(RuntimeError"):
        load(bundle)


def test_no_random_number_is_used_up(bundle_of: Callable, recwarn: Any) -> None:
    bundle = bundle_of(DRAWS)
    recwarn.clear()

    def next_numbers(work: Callable[[], object]) -> list[float]:
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)
        work()
        return [torch.rand(()).item(), random.random(), np.random.rand()]

    from zoo_small.model import Net

    assert next_numbers(lambda: load(bundle)) == next_numbers(lambda: Net(2, 3))
    assert len([each for each in recwarn if str(each.message) == "drawn"]) >= 1


def test_lazy_shapes_come_from_the_weights(bundle_of: Callable) -> None:
    model = load(bundle_of(LAZY))
    assert model.classifier.weight.shape == (3, 8)


def test_a_model_that_memory_does_not_hold(toy: Any, zoo: Callable) -> None:
    for units in (10**13, 10**30):
        done = zoo("train", "toy/points", "--model.hidden", units, "--out", "run")
        assert done.status == 2
        assert "the model 'toy-net' cannot be built: it would need more memory" in done.err
        assert f"hidden={units}; choose smaller values" in done.err
        assert "frame #" not in done.err
    assert not Path("run").exists()
