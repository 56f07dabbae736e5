"""A loss that is NaN or infinite stops a run, and what was learned before is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from cuts import SETTINGS, STEPS

from zoo.runs.run import Run
from zoo.training import finite_loss
from zoo.training.finite_loss import FiniteLoss, NonFiniteLoss
from zoo.training.train import train

WORDS = [f"--{key}={value}" for key, value in SETTINGS.items()]


def test_a_nan_stops_the_run(toy: Any, zoo: Callable) -> None:
    step = STEPS + 6
    done = zoo("train", "toy/points", *WORDS, "--model.nan_at_step", step, "--out", "run")
    assert done.status == 1
    assert f"the loss is nan in step {step + 1} (epoch 2), so the training was stopped" in done.err
    assert "Lower the learning rate" in done.err
    assert "Traceback" not in done.err
    run = Run(Path("run"))
    assert not run.finished
    assert torch.load(run.checkpoint, weights_only=True)["global_step"] == STEPS


def test_a_recipe_can_train_on(toy: Any, zoo: Callable) -> None:
    """As docs/runs-and-bundles.md says it, in a file of the user's."""
    done = zoo("train", "toy/points", *WORDS, "--model.nan_at_step", 6, "--print-config")
    recipe = yaml.safe_load(done.out)
    name = f"{FiniteLoss.__module__}.FiniteLoss"
    recipe["trainer"]["callbacks"] = [{"class_path": name, "init_args": {"stop": False}}]
    Path("mine.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    assert zoo("train", "mine.yaml", "--out", "run").status == 0
    assert Run(Path("run")).finished


def test_weights_that_are_not_finite_are_not_kept(toy: Any, monkeypatch: Any) -> None:
    """The loss of the epoch's last step is finite, but the weights after it are not."""
    from zoo_toy.model import ToyNet

    def on_train_batch_end(self: Any, *_: Any) -> None:
        if self.global_step == 2 * STEPS:
            self.body[0].weight.data[0, 0] = torch.inf

    monkeypatch.setattr(ToyNet, "on_train_batch_end", on_train_batch_end)
    monkeypatch.setattr(ToyNet, "validation_step", lambda *_: None)
    with pytest.raises(
        NonFiniteLoss, match=f"weights of body.0.weight are not finite in step {2 * STEPS}"
    ):
        train("toy/points", SETTINGS, out="run")
    content = torch.load(Run(Path("run")).checkpoint, weights_only=True)
    assert content["global_step"] == STEPS


def trainer(**values: Any) -> Any:
    """As much of a Trainer as is asked."""
    found = {
        "world_size": 1,
        "global_step": 0,
        "accumulate_grad_batches": 1,
        "current_epoch": 0,
        "default_root_dir": "run",
        "callback_metrics": {},
    }
    return SimpleNamespace(**{**found, **values})


def test_an_accelerator_is_made_to_wait_rarely() -> None:
    """Its losses are looked at together, and the step is named all the same."""
    callback = FiniteLoss()
    looked = []

    class OnDevice(torch.Tensor):
        device = SimpleNamespace(type="cuda")  # type: ignore[assignment]

    for step in range(1, 2 * finite_loss._WINDOW + 1):
        loss = torch.tensor(torch.inf if step == 63 else 1.0).as_subclass(OnDevice)
        try:
            callback.on_train_batch_end(trainer(global_step=step), None, {"loss": loss}, None, 0)
        except NonFiniteLoss as error:
            looked.append((step, str(error)))
    ((step, message),) = looked
    assert step == 2 * finite_loss._WINDOW
    assert "the loss is inf in step 63" in message


def test_all_processes_stop_together() -> None:
    agreed = SimpleNamespace(reduce_boolean_decision=lambda here, all: True)
    here = trainer(world_size=2, strategy=agreed, global_step=7)
    callback = FiniteLoss()
    callback.on_train_batch_end(here, None, torch.tensor(1.0), None, 0)
    with pytest.raises(NonFiniteLoss, match="the loss is not finite in another process"):
        callback.on_train_epoch_end(here, None)


def test_a_learner_without_a_loss_is_not_asked() -> None:
    callback = FiniteLoss()
    callback.on_train_batch_end(trainer(), None, None, None, 0)
    callback.on_train_epoch_end(
        trainer(callback_metrics={"train/return": torch.tensor(torch.nan)}), None
    )
    callback.require_finite(trainer())


def test_a_loss_that_is_only_logged() -> None:
    """As of a module that steps its optimizers itself."""
    logged = trainer(callback_metrics={"train/loss": torch.tensor(torch.nan)})
    with pytest.raises(NonFiniteLoss, match="train/loss is nan"):
        FiniteLoss().on_train_epoch_end(logged, None)
