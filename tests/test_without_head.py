"""Models whose task is not replaced, and whose forward takes something else than the data hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo as package
from zoo.errors import UsageError, ZooError
from zoo.plugin.declarations import head_of, may_have_head
from zoo.runs.next_commands import next_commands
from zoo.runs.run import Run
from zoo.training.train import train

SETTINGS = {"trainer.logger": False, "trainer.enable_progress_bar": False}
RECIPE = """
about: {summary: Points, paper: none}
model: {name: small-net}
data: {name: small-points}
trainer: {max_epochs: 1, num_sanity_val_steps: 0, limit_train_batches: 2}
"""
GENERATOR = '''
import torch
from lightning.pytorch import LightningModule
from torch import nn

class Net(LightningModule):
    """Points out of noise of four numbers, while the data are points of two."""

    def __init__(self, features: int = 2) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.network = nn.Linear(4, features)

    @property
    def example_input(self):
        return torch.ones(3, 4)

    def forward(self, noise):
        return self.network(noise)

    def training_step(self, batch, batch_idx):
        return (self(torch.randn(len(batch[0]), 4)).mean(0) - batch[0].mean(0)).square().sum()

    def test_step(self, batch, batch_idx):
        self.log("test/distance", 0.5)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)
'''
HEADS = {
    "missing": "",
    "empty": "\n    head = ()\n",
    "property": "\n    @property\n    def head(self):\n        return ()\n",
    "of the instance": "\n    @property\n    def head(self):\n        return self.network.none\n",
}


def trained(write: Any, more: str = "", text: str = GENERATOR) -> Run:
    write({"model": text + more, "recipes/first.yaml": RECIPE})
    return train("small/first", SETTINGS, out="run")


@pytest.mark.parametrize("head", ["missing", "empty", "property"])
def test_without_a_head_nothing_is_fine_tuned(write: Any, zoo: Callable, head: str) -> None:
    run = trained(write, HEADS[head])
    assert not any("finetune" in line for line in next_commands(run))
    done = zoo("finetune", "run", "--out", "more")
    assert (done.status, done.out) == (2, "")
    assert "a 'small-net' has no head that other data would replace" in done.err
    assert "--init_from.reference run" in done.err
    assert not Path("more").exists()


def test_another_training_starts_from_its_weights(write: Any, zoo: Callable) -> None:
    trained(write)
    done = zoo(
        "train", "small/first", "--init_from.reference", "run", "--out", "more",
        "--trainer.max_epochs", "0", "--trainer.logger", "false",
    )  # fmt: skip
    assert done.status == 0, done.err
    before, now = package.load("run"), package.load("more")
    assert torch.equal(before.network.weight, now.network.weight)
    done = zoo(
        "train", "small/first", "--init_from.reference", "run", "--out", "other",
        "--init_from.freeze", "backbone",
    )  # fmt: skip
    assert done.status == 2
    assert "trains the head alone, and the model has none" in done.err
    assert not Path("other").exists()


def test_what_only_an_instance_knows_is_asked_of_it(toy: Any) -> None:
    class Own(torch.nn.Module):
        @property
        def head(self) -> tuple[str, ...]:
            return tuple(name for name, _ in self.named_children())

    assert may_have_head(Own)
    assert head_of(Own()) == ()
    assert may_have_head(type("Named", (), {"head": ("a",)}))
    run = train("toy/points", {**SETTINGS, "trainer.max_epochs": 0}, out="toy")
    assert any("zoo finetune" in line for line in next_commands(run))


# Exporting


def test_the_example_input_is_taken_where_a_batch_holds_no_input(write: Any, zoo: Callable) -> None:
    trained(write)
    done = zoo("export", "run", "--format", "torch-export", "--out", "model.pt2")
    assert done.status == 0, done.err
    assert "3 of the model's example input (its forward does not take the test data" in done.out
    compute, noise = torch.export.load("model.pt2").module(), torch.rand(5, 4)
    assert torch.allclose(compute(noise), package.load("run")(noise), atol=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("torch.ones(3, 4)", "torch.ones(3, 5)", "nor on the model's example input"),
        ("torch.ones(3, 4)", "[1, 2]", "not a batch in one tensor"),
        ("def example_input", "def other_input", "not a batch in one tensor"),
        ("return self.network(noise)", "return {'x': noise}", "forward returns a dict, not a tens"),
    ],
)
def test_where_neither_is_taken_the_member_is_named(
    write: Any, zoo: Callable, old: str, new: str, said: str
) -> None:
    text = GENERATOR.replace(old, new)
    if "dict" in said:
        text = text.replace(
            "(self(torch.randn(len(batch[0]), 4))", "(self.network(torch.ones(1, 4))"
        )
    trained(write, text=text)
    done = zoo("export", "run", "--format", "torch-export", "--out", "model.pt2")
    assert done.status == 1
    assert said in done.err
    assert "Write a member `real_inputs()`" in done.err
    assert "not_exportable = 'the reason'" in done.err
    assert not Path("model.pt2").exists()


def test_inputs_that_the_model_gives_itself_are_not_replaced(write: Any) -> None:
    trained(write, "\n    def real_inputs(self):\n        return torch.ones(2, 3)\n")
    with pytest.raises(ZooError, match="does not work on inputs that the model gives itself"):
        package.export("run", "torch-export", "model.pt2")
    with pytest.raises(UsageError, match="omit --input"):
        package.export("run", "torch-export", "model.pt2", inputs=["a.png"])
