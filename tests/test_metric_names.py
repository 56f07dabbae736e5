"""What a module logs is kept, under whatever name."""

from __future__ import annotations

import csv
import json
import pickle
import signal
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cuts import assert_same, in_a_process, with_signal

import zoo as package
from zoo.bundles.bundle import read_bundle
from zoo.errors import UsageError
from zoo.runs.run import Run, open_run
from zoo.training.train import train

SETTINGS = {"trainer.logger": False, "trainer.enable_progress_bar": False}
RECIPE = """
about: {summary: Points, paper: none}
model: {name: small-net}
data: {name: small-points}
trainer: {max_epochs: 2, num_sanity_val_steps: 0}
"""
FOREIGN = '''
import torch
from lightning.pytorch import LightningModule
from torch import nn
from torch.nn import functional as F

class Net(LightningModule):
    """A classifier as others write them."""

    def __init__(self, features: int = 2, num_classes: int = 3) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layer = nn.Linear(features, num_classes)

    def forward(self, points):
        return self.layer(points)

    def training_step(self, batch, batch_idx):
        loss = F.cross_entropy(self(batch[0]), batch[1])
        self.log("loss", loss, on_epoch=True, on_step=False)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log_dict({"val_loss": F.cross_entropy(self(batch[0]), batch[1])})

    def test_step(self, batch, batch_idx):
        self.log("image_AUROC", (self(batch[0]).argmax(1) == batch[1]).float().mean())
        self.log("loss", F.cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)
'''
NAMES = """
    metric_names = {
        "image_AUROC": "test/image_AUROC", "loss": "{stage}/loss", "val_loss": "val/loss"}
"""


def run(**options: Any) -> Run:
    return train("small/first", {**SETTINGS, **options.pop("more", {})}, **options)


def columns(done: Run) -> set[str]:
    with done.metrics_csv.open() as file:
        return set(csv.DictReader(file).fieldnames or ())


def test_foreign_names_are_kept_everywhere(write: Any, zoo: Any) -> None:
    write({"model": FOREIGN, "recipes/first.yaml": RECIPE})
    done = zoo("train", "small/first", "--trainer.logger", "false", "--out", "run")
    assert done.status == 0, done.err
    assert "loss 0." in done.err or "loss 1." in done.err  # on the epoch's line
    assert "val_loss" in done.err
    assert "the test logs loss under the names of the training" in done.err
    assert "{stage}/loss" in done.err
    assert "image_AUROC" in done.out
    found = open_run("run")
    assert columns(found) == {"epoch", "step", "loss", "val_loss", "image_AUROC"}
    assert set(found.metrics) == {"loss", "val_loss", "image_AUROC"}
    assert read_bundle("run").metrics == found.metrics
    assert "`image_AUROC`" in (found.bundle / "README.md").read_text()
    assert package.evaluate("run") == {n: found.metrics[n] for n in ("loss", "image_AUROC")}
    (info,) = json.loads(zoo("info", "run", "--json").out)
    assert info["metrics"] == found.metrics


def test_they_get_the_names_that_the_author_gives(write: Any) -> None:
    write({"model": FOREIGN + NAMES, "recipes/first.yaml": RECIPE})
    keeper = {"class_path": "ModelCheckpoint", "init_args": {"monitor": "val/loss"}}
    done = run(out="run", more={"trainer.callbacks": [keeper]})
    names = {"train/loss", "val/loss", "test/loss", "test/image_AUROC"}
    assert columns(done) == {"epoch", "step", *names}
    assert set(done.metrics) == names
    assert done.environment["monitor"] == "val/loss"
    assert package.evaluate(done.path) == {
        n: v for n, v in done.metrics.items() if n.startswith("test/")
    }


def test_the_best_epoch_by_a_foreign_name(write: Any) -> None:
    write({"model": FOREIGN, "recipes/first.yaml": RECIPE})
    init = {"monitor": "val_loss", "mode": "max"}
    keeper = {"class_path": "ModelCheckpoint", "init_args": init}
    done = run(out="run", more={"trainer.callbacks": [keeper]})
    with done.metrics_csv.open() as file:
        rows = [row for row in csv.DictReader(file) if row["val_loss"]]
    best = max(rows, key=lambda row: float(row["val_loss"]))
    assert done.metrics["val_loss"] == pytest.approx(float(best["val_loss"]))
    assert done.environment["best_epoch"] == int(best["epoch"]) + 1


@pytest.mark.parametrize("names", ["", NAMES])
@pytest.mark.parametrize(
    ("hook", "number", "which"),
    [
        ("on_train_batch_end", 7, signal.SIGKILL),
        ("on_train_batch_end", 7, signal.SIGTERM),
        ("on_test_end", 1, signal.SIGKILL),
    ],
)
def test_cut_it_ends_with_the_same(
    write: Any, names: str, hook: str, number: int, which: int
) -> None:
    write({"model": FOREIGN + names, "recipes/first.yaml": RECIPE})
    whole = run(out="whole")
    assert in_a_process(partial(with_signal, hook, number, which, run)) != 0
    assert_same(run(out="cut", resume="auto"), whole)


@pytest.mark.parametrize("names", ["", NAMES])
def test_a_longer_training_forgets_the_test_that_was_cut(write: Any, names: str) -> None:
    write({"model": FOREIGN + names, "recipes/first.yaml": RECIPE})
    whole = run(out="whole", more={"trainer.max_epochs": 3})
    work = partial(with_signal, "on_fit_end", 1, 0, run)  # signal 0 does nothing
    assert in_a_process(partial(_killed_after_test, work)) != 0
    longer = run(out="cut", resume="auto", more={"trainer.max_epochs": 3})
    assert longer.metrics_csv.read_text() == whole.metrics_csv.read_text()
    assert longer.metrics == whole.metrics


def _killed_after_test(work: Any) -> None:
    import zoo.training.train as module

    def die(*_: Any) -> None:
        raise SystemExit(9)

    module.draw = die
    work()


def test_names_that_become_one_are_refused(write: Any) -> None:
    names = '\n    metric_names = {"a": "test/x", "b": "test/x"}\n'
    write({"model": FOREIGN + names, "recipes/first.yaml": RECIPE})
    with pytest.raises(UsageError, match="calls both 'a' and 'b' 'test/x'"):
        run(out="run")
    assert not Run(Path("run")).path.exists()


def test_a_module_with_other_names_can_be_copied_and_sent(write: Any) -> None:
    write({"model": FOREIGN + NAMES, "recipes/first.yaml": RECIPE})
    model = package.create_model("small-net")
    for other in (deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.log.args[0] is other
