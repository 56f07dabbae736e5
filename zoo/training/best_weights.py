"""Which weights of a training are kept: those of the best epoch, or of the last.

A ``ModelCheckpoint`` that monitors a metric decides; the first one where several do. Without one
the last epoch counts. Where the data are the user's own (``HasKeepBest``), or a model is
fine-tuned, the best epoch by the model's own ``monitor`` is kept unless the recipe names a
``ModelCheckpoint``; the run's recipe then has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from zoo.errors import UsageError
from zoo.io.rank_zero import rank_zero_print
from zoo.plugin.declarations import keeps_best
from zoo.plugin.parts import has_part
from zoo.plugin.protocols import HasMonitor
from zoo.recipes.experiment import Experiment

_KEEPER = f"{ModelCheckpoint.__module__.rpartition('.')[0]}.ModelCheckpoint"


_POSITION = ("epoch", "step")


@dataclass(frozen=True)
class BestWeights:
    """The weights that a training kept.

    Attributes:
        epoch: Counted from 0.
        monitor: The metric they were the best by.
        score: Its value; None where it is not known.
    """

    epoch: int
    monitor: str
    score: float | None

    def metrics(self, rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
        """What was logged of the training and the validation of their epoch.

        Args:
            rows: Of ``metrics.csv``.
        """
        of_epoch = [row for row in rows if row["epoch"] == self.epoch]
        found: dict[str, float] = {}
        for row in of_epoch:
            found |= {k: v for k, v in row.items() if k not in _POSITION and k[:5] != "test/"}
        measured = [row for row in of_epoch if self.monitor in row]
        if measured and self.score is not None:  # of several validations within the epoch
            score = self.score
            row = min(measured, key=lambda each: abs(each[self.monitor] - score))
            found |= {k: v for k, v in row.items() if k.startswith(("val/", "val_", self.monitor))}
        return found


def keep_best_by_default(
    experiment: Experiment, model: LightningModule, data: LightningDataModule
) -> Experiment:
    """The experiment with a ``ModelCheckpoint`` where the best epoch is to be kept and the recipe
    names none.

    Args:
        experiment: What is about to be trained.
        model: Its module, which says what is monitored.
        data: Its data, set up for fitting.
    """
    recipe = experiment.recipe
    if not (recipe.init_from or keeps_best(data)) or not isinstance(model, HasMonitor):
        return experiment
    given = recipe.trainer.get("callbacks")
    callbacks = [] if given is None else list(given) if isinstance(given, list) else [given]
    if any("Checkpoint" in _class_path(each) for each in callbacks):
        return experiment
    if recipe.trainer.get("limit_val_batches") == 0 or not has_part(data, "val"):
        return experiment
    arguments = {"monitor": model.monitor, "mode": model.monitor_mode, "filename": "best"}
    keeper = {"class_path": _KEEPER, "init_args": arguments}
    rank_zero_print(
        f"the weights of the best epoch by {model.monitor} are kept; for those of the last, name a "
        "ModelCheckpoint without a monitor in trainer.callbacks"
    )
    trainer = {**recipe.trainer, "callbacks": [*callbacks, keeper]}
    return replace(experiment, recipe=replace(recipe, trainer=trainer))


def load_best(trainer: Trainer, model: LightningModule) -> BestWeights | None:
    """Put the best weights into the module, and say of which epoch they are.

    Returns:
        What they are; None where the weights of the last epoch stay, as nothing was monitored.

    Raises:
        UsageError: their checkpoint is missing or damaged.
    """
    monitored = [
        each
        for each in trainer.checkpoint_callbacks
        if isinstance(each, ModelCheckpoint) and each.monitor and each.best_model_path
    ]
    if not monitored:
        return None
    keeper = monitored[0]
    assert keeper.monitor is not None
    path = Path(keeper.best_model_path)
    if not path.is_file():
        raise UsageError(
            f"the best weights by {keeper.monitor} were in {path}, which is not there any more: "
            "put it back, then finish the run with --resume"
        )
    state: Any = trainer.strategy.checkpoint_io.load_checkpoint(path, weights_only=True)
    model.load_state_dict(state["state_dict"])
    score = None if keeper.best_model_score is None else float(keeper.best_model_score)
    best = BestWeights(int(state["epoch"]), keeper.monitor, score)
    value = "" if score is None else f" ({score:.4g})"
    others = sorted({str(each.monitor) for each in monitored[1:]} - {keeper.monitor})
    more = f"; {' and '.join(others)} monitored too, the first decides" if others else ""
    rank_zero_print(
        f"best epoch {best.epoch + 1} of {trainer.current_epoch} by {best.monitor}{value}{more}"
    )
    return best


def _class_path(callback: Any) -> str:
    return str(callback.get("class_path", "")) if isinstance(callback, Mapping) else str(callback)
