"""Which weights a run keeps: the best by what is monitored, or the last."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from zoo.errors import UsageError
from zoo.runs.run import Run
from zoo.training.interruption import TrainingInterrupted
from zoo.training.train import train

QUIET = {"trainer.logger": False, "trainer.enable_progress_bar": False, "trainer.max_epochs": 4}
# By the highest loss the first epoch is the best: another one than the last.
BEST = {"class_path": "ModelCheckpoint", "init_args": {"monitor": "val/loss", "mode": "max"}}
LAST = {
    "class_path": "ModelCheckpoint",
    "init_args": {"monitor": "val/accuracy", "mode": "max", "every_n_epochs": 4},
}
PLAIN = {"class_path": "ModelCheckpoint", "init_args": {"every_n_epochs": 3}}


def callbacks(*given: dict[str, Any]) -> dict[str, Any]:
    return {**QUIET, "trainer.callbacks": list(given)}


def is_of_epoch(run: Run, epoch: int) -> bool:
    """Whether the bundle has the weights that the plain training has after so many epochs."""
    short = train("toy/points", {**QUIET, "trainer.max_epochs": epoch}, out=f"{run.path}-{epoch}")
    mine, other = (load_file(each.bundle / "model.safetensors") for each in (run, short))
    return all(torch.equal(mine[name], other[name]) for name in mine)


@pytest.mark.parametrize(
    ("given", "epoch"),
    [((), 4), ((PLAIN,), 4), ((BEST,), 1), ((PLAIN, BEST), 1), ((BEST, PLAIN), 1)],
    ids=["none", "plain", "best", "plain, best", "best, plain"],
)
def test_the_monitored_best_or_the_last(
    toy: Any, given: tuple[dict[str, Any], ...], epoch: int, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train("toy/points", callbacks(*given), out="run")
    assert is_of_epoch(run, epoch)
    said = capsys.readouterr().err
    if epoch == 1:
        assert "best epoch 1 of 4 by val/loss (" in said
        assert (run.environment["best_epoch"], run.environment["monitor"]) == (1, "val/loss")
    else:
        assert "best epoch" not in said
        assert "best_epoch" not in run.environment


def test_of_two_monitored_the_first_decides_and_it_is_said(
    toy: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train("toy/points", callbacks(LAST, BEST), out="run")
    assert is_of_epoch(run, 4)
    assert re.search(
        r"best epoch 4 of 4 by val/accuracy \(.+\); val/loss monitored too, the first decides",
        capsys.readouterr().err,
    )


def test_metrics_are_those_of_the_epoch_that_is_kept(toy: Any) -> None:
    run = train("toy/points", callbacks(BEST), out="run")
    first = train("toy/points", {**QUIET, "trainer.max_epochs": 1}, out="first")
    assert run.metrics == first.metrics


def test_checkpoints_lie_in_one_folder_whatever_their_name(toy: Any) -> None:
    named = {**BEST["init_args"], "filename": "{epoch:02d}-{val/loss:.3f}", "save_top_k": 2}
    run = train("toy/points", callbacks({**BEST, "init_args": named}), out="run")
    found = {str(path.relative_to(run.path)) for path in run.path.rglob("*.ckpt")}
    assert len(found) == 3
    assert all(path.startswith("checkpoints/") and path.count("/") == 1 for path in found)
    assert sum(path.startswith("checkpoints/epoch=00-val_loss=") for path in found) == 1


def test_best_weights_that_are_gone_are_named(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.training import train as module

    def lose(trainer: Any, model: Any) -> Any:
        shutil.rmtree("elsewhere")
        return load(trainer, model)

    load = module.load_best
    monkeypatch.setattr(module, "load_best", lose)
    away = {**BEST, "init_args": {**BEST["init_args"], "dirpath": "elsewhere"}}
    with pytest.raises(UsageError, match=r"the best weights by val/loss were in .*elsewhere"):
        train("toy/points", callbacks(away), out="run")


# Data of one's own


@pytest.fixture
def own(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy's data are the user's, and its model says what is best."""
    from zoo_toy.data import Points
    from zoo_toy.model import ToyNet

    monkeypatch.setattr(Points, "keep_best", True, raising=False)
    monkeypatch.setattr(ToyNet, "monitor", "val/loss", raising=False)
    monkeypatch.setattr(ToyNet, "monitor_mode", "max", raising=False)


def test_own_data_keep_the_best_and_the_recipe_says_so(
    own: None, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train("toy/points", QUIET, out="run")
    said = capsys.readouterr().err
    assert "the weights of the best epoch by val/loss are kept; for those of the last" in said
    assert "best epoch 1 of 4 by val/loss" in said
    assert is_of_epoch(run, 1)
    (keeper,) = run.recipe.trainer["callbacks"]
    assert keeper["class_path"] == "lightning.pytorch.callbacks.ModelCheckpoint"
    assert keeper["init_args"]["monitor"] == "val/loss"
    again = train(run.recipe_file, out="again")
    assert again.metrics == run.metrics


def test_a_model_checkpoint_without_a_monitor_keeps_the_last(own: None) -> None:
    run = train("toy/points", callbacks({"class_path": "ModelCheckpoint"}), out="run")
    plain = train("toy/points", {**QUIET, "trainer.max_epochs": 1}, out="one")
    assert run.metrics != plain.metrics
    assert "best_epoch" not in run.environment


def test_other_callbacks_stay(own: None) -> None:
    stopper = {"class_path": "EarlyStopping", "init_args": {"monitor": "val/loss"}}
    run = train("toy/points", callbacks(stopper), out="run")
    kinds = [each["class_path"].rpartition(".")[2] for each in run.recipe.trainer["callbacks"]]
    assert kinds == ["EarlyStopping", "ModelCheckpoint"]


def test_a_resumed_call_that_names_callbacks_again_keeps_the_best(own: None) -> None:
    """As a scheduler repeats it, with the callbacks and without the keeper that was added."""
    stopping = {"class_path": "EarlyStopping", "init_args": {"monitor": "val/loss"}}
    changes = {**callbacks(stopping), "model.ctrl_c_at_step": 12}
    with pytest.raises(TrainingInterrupted) as stopped:
        train("toy/points", changes, out="run")
    before = stopped.value.run.recipe
    run = train("toy/points", changes, out="run", resume="auto")
    assert len(before.trainer["callbacks"]) == 2
    assert run.recipe.trainer == before.trainer
    assert run.environment["monitor"] == "val/loss"


def test_without_a_validation_the_last_is_kept(own: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo_toy.data import Points

    monkeypatch.setattr(Points, "val_dataloader", lambda self: [])
    run = train("toy/points", QUIET, out="run")
    assert "callbacks" not in run.recipe.trainer


def test_fine_tuning_keeps_the_best(
    own: None, zoo: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo_toy.data import Points

    monkeypatch.setattr(Points, "keep_best", False)
    origin = train("toy/points", QUIET, out="origin")
    assert "best_epoch" not in origin.environment
    words = ("--out", "tuned", "--trainer.logger", "false", "--trainer.max_epochs", "3")
    done = zoo("finetune", "origin", *words)
    assert done.status == 0
    assert "of 3 by val/loss" in done.err
    assert "best_epoch" in Run(Path("tuned")).environment
