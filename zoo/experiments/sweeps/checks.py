"""What can be known to be wrong with a sweep before anything is written."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from zoo.errors import UsageError, nearest
from zoo.experiments.built import Asked
from zoo.experiments.sweeps.space import Parameter
from zoo.io.failures import one_line
from zoo.plugin.parts import has_part
from zoo.plugin.protocols import AcceleratorChooser
from zoo.recipes.experiment import Experiment, resolve
from zoo.recipes.recipe import Recipe, override
from zoo.recipes.signatures import instantiate
from zoo.recipes.trainer import Trainer as OwnTrainer
from zoo.recipes.trust import refuse_untrusted
from zoo.training.trainer import evaluation_trainer

_SETTINGS = ("accelerator", "devices", "num_nodes", "plugins", "precision", "strategy")


def refuse_wrong_space(asked: Asked, space: Mapping[str, Parameter], source: str) -> None:
    """Refuse a space that names no argument, or values that its argument does not take.

    Args:
        asked: The recipe.
        space: What is varied.
        source: The file it comes from, which may not name code as the user may; empty for none.

    Raises:
        UsageError: as of a recipe with such a key or value.
    """
    rounds = max(len(each.samples()) for each in space.values())
    for index in range(rounds):
        values = {k: each.samples()[index % len(each.samples())] for k, each in space.items()}
        recipe = override(asked.recipe, values)
        if source:
            refuse_untrusted(replace(recipe, source=source, typed=asked.recipe.typed))
        try:
            resolve(recipe)
        except UsageError as error:
            whole = [
                f"{each.key} by {'logint' if each.kind == 'log' else 'int'}:LOW:HIGH"
                for each in space.values()
                if f"'{each.key}' has to be of type int" in str(error)
            ]
            if not whole:
                raise
            raise UsageError(f"{error}; search {' and '.join(whole)}") from error


def refuse_refused_ends(experiment: Experiment, space: Mapping[str, Parameter]) -> None:
    """Refuse a space whose ends, all low or all high, the model or the data do not take.

    Args:
        experiment: With the facts of its data.
        space: What is varied.

    Raises:
        UsageError: their constructors raise anything.
    """
    for index in (0, 1):
        values = {key: each.samples()[index] for key, each in space.items()}
        try:
            resolved = resolve(override(experiment.recipe, values))
            resolved.build_data()
            replace(resolved, facts=experiment.facts).build_model()
        except Exception as error:
            said = ", ".join(f"{key} {value}" for key, value in values.items())
            raise UsageError(
                f"the space goes too far: with {said} data or model cannot be built: "
                f"{one_line(error)}"
            ) from error


def refuse_several_processes(recipe: Recipe) -> None:
    """Refuse trials that would each start processes of their own, which would be sweeps again.

    Raises:
        UsageError: the settings ask for more than one process.
    """
    settings = _settings(recipe)
    with tempfile.TemporaryDirectory() as scratch:
        processes = evaluation_trainer(settings, Path(scratch)).world_size
    if processes > 1 or int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError(
            "a trial of a sweep trains in one process, on one device: omit the settings of "
            "several, and start the same command once for each device, which share the trials"
        )


def refuse_unvalidated(
    metric: str, recipe: Recipe, model: LightningModule, data: LightningDataModule
) -> None:
    """Refuse a sweep that nothing would be chosen by.

    Raises:
        UsageError: nothing is validated, or the validation does not log the metric.
    """
    if type(model).validation_step is LightningModule.validation_step:
        reason = "the model has no validation_step"
    elif recipe.trainer.get("limit_val_batches") == 0:
        reason = "with trainer.limit_val_batches 0 nothing is validated"
    elif not has_part(data, "val"):
        reason = "the data have no validation part"
    else:
        _refuse_unlogged(metric, _logged(recipe, model, data))
        return
    raise UsageError(
        f"a sweep chooses by {metric} of the validation, and {reason}: the test part is not there "
        "to choose by, so give the data a validation part"
    )


def _refuse_unlogged(metric: str, names: set[str]) -> None:
    if not names or metric in names:  # without any, nothing is known
        return
    near = nearest(metric, names, 1).strip("'")
    hint = f"did you mean --metric {near}?" if near else f"there are {', '.join(sorted(names))}"
    raise UsageError(f"the validation does not log {metric}: {hint}")


def _logged(recipe: Recipe, model: LightningModule, data: LightningDataModule) -> set[str]:
    """What the sanity check of the validation logs, with which a training begins; nothing of a
    recipe that leaves it out."""
    if recipe.trainer.get("num_sanity_val_steps") == 0:
        return set()
    settings = _settings(recipe)
    if isinstance(model, AcceleratorChooser) and settings.get("accelerator", "auto") == "auto":
        settings["accelerator"] = model.choose_accelerator(data)
    looked = _SanityCheck()
    with tempfile.TemporaryDirectory() as scratch:
        trainer = evaluation_trainer(
            {**settings, "max_epochs": 1, "num_sanity_val_steps": 1}, Path(scratch), [looked]
        )
        with contextlib.suppress(_Enough):
            trainer.fit(model, datamodule=data)
    return looked.names


def _settings(recipe: Recipe) -> dict[str, Any]:
    named = {key: recipe.trainer[key] for key in _SETTINGS if key in recipe.trainer}
    if named.get("devices") == "auto":  # of which a run takes one
        del named["devices"]
    return instantiate(OwnTrainer, named)


class _Enough(Exception):
    """The names are known."""


class _SanityCheck(Callback):
    """Ends a fit once the names of the validation's metrics are known, before the first step."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def on_sanity_check_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look."""
        self.names.update(trainer.callback_metrics)
        raise _Enough

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """There was no validation."""
        raise _Enough
