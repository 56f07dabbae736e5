"""What the conformance kit says of models that train wrongly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_plugin import INIT, Faults, Faulty, assert_fails, checks_of, model

from zoo.recipes.recipe import read_recipe
from zoo.registry.registry import registry
from zoo.testing import stages

FAULTY: Faulty = [
    (
        "gradients",
        "model",
        model(INIT % ": int = 3" + "    self.unused = nn.Linear(2, 2)"),
        "no gradient reaches unused.bias, unused.weight",
    ),
    (
        "gradients",
        "model",
        model(
            "def training_step(self, *a):\n"
            "    return super().training_step(*a) + (0 * self.classifier.bias.sum()).sqrt()"
        ),
        "is not finite",
    ),
    (
        "gradients",
        "model",
        model("def training_step(self, *a):\n    return super().training_step(*a) * torch.inf"),
        "the gradient of body.0.bias, body.0.weight, classifier.bias",
    ),
    (
        "gradients",
        "model",
        model("def configure_optimizers(self):\n    return None"),
        "no optimizer holds them",
    ),
    (
        "overfits-one-batch",
        "model",
        model("def configure_optimizers(self):\n    return torch.optim.SGD(self.parameters(), 0.)"),
        "the loss on one batch went from",
    ),
    ("fits", "model", model("def test_step(self, *a):\n    pass"), "logs nothing under test/"),
    (
        "fits",
        "model",
        model(
            "def training_step(self, *a):\n    loss = super().training_step(*a)\n"
            "    self.log('train_loss', loss)\n    return loss"
        ),
        "logs 'train_loss'",
    ),
    (
        "fits",
        "model",
        model("metric_names = {'test/loss': 'loss'}"),
        "logs 'loss', which is not of the form",
    ),
    (
        "fits",
        "model",
        model("def test_step(self, *a):\n    self.log('test/accuracy', 97.0)"),
        "which is not a fraction",
    ),
    (
        "fits",
        "model",
        model("def test_step(self, *a):\n    self.log('test/loss', float('nan'))"),
        "logs test/loss = nan",
    ),
    ("fits", "model", model("def training_step(self, *a):\n    1 / 0"), "ZeroDivisionError"),
    (
        "fits",
        "model",
        model("monitor, monitor_mode = 'val/f1', 'max'"),
        "its monitor is 'val/f1', which it does not log",
    ),
    (
        "fits",
        "model",
        model("monitor, monitor_mode = 'val/loss', 'least'"),
        "its monitor_mode is 'least': it has to be min or max",
    ),
    (
        "same-seed",
        "model",
        model(
            "def training_step(self, *a):\n"
            "    return super().training_step(*a) * (1 + os.urandom(1)[0])"
        ),
        "ends with another",
    ),
    (
        "validation-apart",
        "model",
        model(
            "def validation_step(self, *a):\n"
            "    self.classifier.bias.data.add_(0.1)\n"
            "    return super().validation_step(*a)"
        ),
        "without validation the training ends with another",
    ),
    (
        "resumes",
        "model",
        model(
            "steps = 0\n"
            "def training_step(self, *a):\n    self.steps += 1\n"
            "    return super().training_step(*a) / self.steps"
        ),
        "the resumed training ends with another",
    ),
    (
        "resumes",
        "model",
        model(
            "seen = 0\n"
            "def training_step(self, *a):\n    self.seen += 1\n"
            "    return super().training_step(*a)\n"
            "def on_train_epoch_end(self):\n    self.log('train/seen', float(self.seen))"
        ),
        "ends with train/seen = 2.0, not 6.0",
    ),
    (
        "resumes",
        "model",
        model(
            "seen = 0\n"
            "@property\ndef counters(self):\n    return {'sequences': self.seen}\n"
            "def training_step(self, *a):\n    self.seen += 8\n"
            "    return super().training_step(*a)"
        ),
        "sequences",
    ),
]


@pytest.mark.parametrize(("check", "kind", "faults", "note"), FAULTY)
def test_every_check_can_fail(
    write: Callable, check: str, kind: str, faults: Faults, note: str
) -> None:
    write(faults)
    assert_fails(check, kind, note)


def test_no_check_is_left_out() -> None:
    assert {check for check, *_ in FAULTY} == checks_of("training")


@pytest.mark.parametrize(("size", "changed"), [(1000, 16), (4, None), (None, None)])
def test_a_step_of_a_recipe_has_small_batches(
    toy: Any, monkeypatch: pytest.MonkeyPatch, size: int | None, changed: int | None
) -> None:
    monkeypatch.setattr(stages, "train", lambda recipe, changes, out: changes)
    recipe = read_recipe(registry().recipes["toy/points"])
    given = replace(recipe, data={**recipe.data, "batch_size": size})
    changes: Any = stages.train_quickly(given, Path("run"))
    assert changes.get("data.batch_size") == changed
