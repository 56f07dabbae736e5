"""The Trainer of a run: what its recipe says, and what the run folder needs."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ProgressBar
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import distributed

from zoo.arguments import instantiate
from zoo.checkpointing import DurableCheckpointIO
from zoo.errors import UsageError
from zoo.metrics_log import MetricsLog
from zoo.progress import progress_callback
from zoo.recipes import Recipe
from zoo.runs import Run


def make_trainer(
    recipe: Recipe,
    model: LightningModule,
    data: Any,
    run: Run,
    log: MetricsLog,
    callbacks: Sequence[Callback],
) -> Trainer:
    """A Trainer that writes into the run folder, with the recipe's callbacks and plugins first.

    Args:
        recipe: Its trainer settings, in the form of a recipe file.
        model: Asked for the accelerator that suits it, if it says so and the recipe does not.
        data: What that depends on.
        run: Where it writes; the folder need not be there yet.
        log: Gets all figures, beside the recipe's loggers, or TensorBoard's if it has none.
        callbacks: Those that every run needs.

    Raises:
        UsageError: Lightning refuses the settings.
    """
    settings = instantiate(Trainer, recipe.trainer)
    _choose_devices(settings, recipe, model, data)
    own = list(callbacks)
    if settings.get("enable_progress_bar", True):
        bar = progress_callback()
        own.append(bar)
        settings["enable_progress_bar"] = isinstance(bar, ProgressBar)
    loggers = _loggers(settings.pop("logger", True), run, log)
    users, plugins = (_listed(settings.pop(name, None)) for name in ("callbacks", "plugins"))
    try:
        return Trainer(
            **{"enable_model_summary": False, **settings},
            default_root_dir=run.path,
            logger=loggers,
            callbacks=[*users, *own],
            plugins=[DurableCheckpointIO(), *plugins],
        )
    except (MisconfigurationException, ImportError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"Lightning's Trainer refuses the settings --trainer...: {reason}"
        ) from error


def _choose_devices(
    settings: dict[str, Any], recipe: Recipe, model: LightningModule, data: Any
) -> None:
    choose: Any = getattr(model, "choose_accelerator", None)
    if choose and settings.get("accelerator", "auto") == "auto":
        settings["accelerator"] = choose(data)
    if recipe.trainer.get("devices") in (None, "auto"):
        # One process unless asked for more: a recipe states the batch size of one.
        settings["devices"] = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        nodes = int(os.environ.get("WORLD_SIZE", "1")) // settings["devices"]
        settings.setdefault("num_nodes", nodes)


def _loggers(wanted: Any, run: Run, log: MetricsLog) -> list[Logger]:
    if wanted is True or wanted is None:
        return [log, TensorBoardLogger(run.path, name="", version="tensorboard")]
    return [log, *_listed(wanted or None)]


def _listed(given: Any) -> list[Any]:
    if given is None:
        return []
    return given if isinstance(given, list) else [given]


def in_group() -> bool:
    """Whether there are connections to other processes."""
    return distributed.is_available() and distributed.is_initialized()


def leave_group() -> None:
    """Close the connections to the other processes.

    A process that exits with them open can abort (gloo's threads), whereupon torchrun stops the
    first process before it has written the bundle.
    """
    distributed.destroy_process_group()


def quiet_lightning() -> None:
    """Leave Lightning's advertisements and advice out; warnings of other kinds stay."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*smaller than the logging interval.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*is not resumable.*",
        ".*using `DistributedSampler` with the dataloaders.*",
        ".*isinstance.treespec, LeafSpec.*",
        "Grad strides do not match bucket view strides.*",
    ):
        warnings.filterwarnings("ignore", message)
