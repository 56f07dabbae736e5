"""The one place where Trainers are made: for a run, for a measurement, for the conformance kit."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, ProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.loggers.logger import Logger
from torch import cuda, distributed

from zoo.errors import UsageError, ZooError
from zoo.io.failures import one_line
from zoo.io.rank_zero import is_rank_zero, rank_zero_print
from zoo.plugin._lightning_internals import resume_between_epochs, trains_elsewhere
from zoo.plugin.protocols import AcceleratorChooser
from zoo.plugin.stopping import Budget
from zoo.recipes.recipe import Recipe
from zoo.recipes.signatures import instantiate
from zoo.recipes.trainer import Trainer
from zoo.runs.run import Run
from zoo.runs.target import read_target
from zoo.training import on_gpu
from zoo.training.checkpoint import LastCheckpoint
from zoo.training.checkpoint_files import CheckpointFiles, exists
from zoo.training.constant_buffers import ConstantBuffers
from zoo.training.counting import Counting, put_back, split_interval
from zoo.training.csv_logger import MetricsLogger
from zoo.training.finders import FoundSettings
from zoo.training.finite_loss import FiniteLoss
from zoo.training.gradient_free import GradientFreeSteps
from zoo.training.loader_position import LoaderPosition
from zoo.training.loggers import with_identity
from zoo.training.metric_state import MetricState
from zoo.training.monitors import MonitorNames, ask_after_validations
from zoo.training.overfitting import Overfitting
from zoo.training.pending_gradients import PendingGradients
from zoo.training.progress import Bar, progress_callback
from zoo.training.quiet import Quiet, quiet_lightning
from zoo.training.random_state import RandomState
from zoo.training.time_left import Estimate
from zoo.training.users_checkpoints import UsersCheckpoints, place
from zoo.training.users_plugins import direct_profile, with_checkpoint_files
from zoo.training.why_stopped import WhyStopped


class ResumableTrainer:
    """A Trainer whose training can be continued after any crash, and what makes it so.

    Args:
        settings: Arguments of ``lightning.pytorch.Trainer``. Their callbacks, loggers and plugins
            come before those of every run.
        folder: Lightning's ``default_root_dir``; it need not exist yet.
        checkpoint: The file that a resumed training continues from.
        metrics_csv: Where the metrics over time are written.
        callbacks: Those that are not the user's settings.
        budget: Of the recipe: limits by unit.

    Raises:
        UsageError: Lightning refuses the settings.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        folder: Path,
        checkpoint: Path,
        metrics_csv: Path,
        callbacks: Sequence[Callback] = (),
        budget: Mapping[str, int] | None = None,
    ) -> None:
        settings = dict(settings)
        interval = split_interval(settings)
        self.log = MetricsLogger(metrics_csv)
        self.files = CheckpointFiles(checkpoint)
        self._checkpoint = checkpoint
        self._epochs = 0
        users = listed(settings.get("callbacks"))
        for each in users:
            if isinstance(each, ModelCheckpoint):
                place(each, checkpoint.parent)
        chosen = [each for each in users if isinstance(each, FiniteLoss)]
        finite = chosen[0] if chosen else FiniteLoss()
        ask_after_validations(users)
        names = MonitorNames(users)
        self._last = LastCheckpoint(checkpoint, self.log, finite, names)
        self._why = WhyStopped()
        own = [
            names,
            *([] if chosen else [finite]),
            ConstantBuffers(),
            RandomState(),
            LoaderPosition(),
            MetricState(),
            PendingGradients(),
            Overfitting(),
            GradientFreeSteps(),
            *([Budget(budget)] if budget else []),
            Counting(self.log, interval),
            self._why,
            FoundSettings(),
            UsersCheckpoints(folder, self.files),
            self._last,
            Quiet(),
            *callbacks,
        ]
        quiet_lightning()
        self.trainer = _trainer(
            settings,
            default_root_dir=folder,
            logger=[self.log, *listed(settings.get("logger"))],
            callbacks=[*users, *own],
            plugins=with_checkpoint_files(listed(settings.get("plugins")), self.files),
        )
        direct_profile(self.trainer, folder)
        resume_between_epochs(self.trainer)

    def fit(
        self,
        model: LightningModule,
        data: LightningDataModule,
        resume: bool = False,
        longer: bool = False,
    ) -> None:
        """Train.

        Args:
            model: The module.
            data: The datamodule.
            resume: Continue from the checkpoint, if there is one by now.
            longer: Continue also where the training had been told to stop, as by EarlyStopping.

        Raises:
            UsageError: the checkpoint is damaged, and the one before it too.
            NonFiniteLoss: the loss became NaN or infinite.
            ZooError: the checkpoint does not fit the model.
        """
        on_gpu.prepare(self.trainer, model)
        path = self._checkpoint if resume and exists(self._checkpoint) else None
        self._last.longer = longer
        if resume and path is None and is_rank_zero():
            self.files.keep_only(())
        try:
            self.trainer.fit(model, datamodule=data, ckpt_path=path, weights_only=True)
        except RuntimeError as error:
            if path is None or not str(error).startswith("Error(s) in loading state_dict"):
                raise
            raise ZooError(
                f"{path} does not fit the model that wrote it ({one_line(error)}): name tensors "
                "whose shapes come from the data in a member `dynamic_tensors` of the model, and "
                "make those of a model that grows in `grow_to` (docs/plugin-api.md)"
            ) from error
        finally:
            self._last.release()
        self._return_to_this_process(model, data)

    @property
    def began(self) -> bool:
        """Whether training went as far as its first epoch."""
        return self._last.began

    @property
    def stop_reasons(self) -> list[str]:
        """Why the training ended before its limits; none if it did not."""
        return self._why.reasons

    @property
    def others(self) -> list[Logger]:
        """The loggers but that of ``metrics.csv``."""
        return [each for each in self.trainer.loggers if each is not self.log]

    def test(self, model: LightningModule, data: LightningDataModule) -> None:
        """Test the module as it is."""
        # Where the strategy starts its processes itself, Lightning adds what the test logged there.
        self.trainer.callback_metrics.clear()
        self.trainer.test(model, datamodule=data, verbose=False)
        self._return_to_this_process(model, data)

    @property
    def epochs(self) -> int:
        """Epochs that were trained."""
        return self.trainer.current_epoch or self._epochs

    def _return_to_this_process(self, model: LightningModule, data: LightningDataModule) -> None:
        """What a strategy that starts its processes itself, as ``ddp_spawn`` does, leaves in them:
        the rows of ``metrics.csv``, what was counted and the state of the callbacks."""
        if not trains_elsewhere(self.trainer):
            return
        self.log.read()
        if not exists(self._checkpoint):
            return
        state = self.files.load_checkpoint(self._checkpoint)
        self._last.began, self._epochs = True, state["epoch"] + 1
        put_back(state, model, data)
        for each in self.trainer.checkpoint_callbacks:
            if found := state["callbacks"].get(each.state_key):
                each.load_state_dict(found)


_ENDS = ("max_epochs", "max_steps", "max_time")


def run_settings(
    recipe: Recipe, model: LightningModule, data: LightningDataModule, run: Run
) -> dict[str, Any]:
    """The Trainer's arguments for a run: the recipe's, with objects for class paths, devices
    chosen, a progress bar and a logger.

    Args:
        recipe: Its trainer settings, in the form of a recipe file.
        model: Asked for the accelerator that suits it, if it says so and the recipe does not.
        data: What that depends on.
        run: TensorBoard writes into its folder if the recipe names no logger.

    Raises:
        UsageError: a class in the settings refuses its arguments, or its package is missing.
    """
    logger = with_identity(recipe.trainer.get("logger"), run, recipe)
    named = {**recipe.trainer, "logger": logger} if logger else recipe.trainer
    settings = instantiate(Trainer, named)
    _choose_devices(settings, recipe, model, data, run)
    callbacks = listed(settings.get("callbacks"))
    if any(isinstance(each, ProgressBar) for each in callbacks):
        settings.setdefault("enable_progress_bar", True)
    elif settings.get("enable_progress_bar", True):
        bar = progress_callback(_targets(recipe))
        settings["callbacks"] = [*callbacks, bar, Estimate()]
        settings["enable_progress_bar"] = isinstance(bar, Bar)
    if settings.get("logger", True) in (True, None):
        settings["logger"] = TensorBoardLogger(run.path, name="", version="tensorboard")
    if recipe.budget and not any(settings.get(each) for each in _ENDS):
        settings["max_epochs"] = -1  # not Lightning's 1000
    return {"enable_model_summary": False, **settings}


def _targets(recipe: Recipe) -> list[str]:
    """The metric that the recipe is to reach, as it is measured while it trains."""
    target = read_target(recipe.about)
    quantity = target.metric.partition("/")[2] if target else ""
    return [f"val/{quantity}", f"train/{quantity}"] if quantity else []


def dev_trainer(
    recipe: Recipe, model: LightningModule, data: LightningDataModule, folder: Path
) -> Trainer:
    """A Trainer for ``fast_dev_run``, which has no loggers and no checkpoints.

    Args:
        recipe: Its trainer settings.
        model: As for ``run_settings``.
        data: As there.
        folder: A scratch folder.

    Raises:
        UsageError: Lightning refuses the settings.
    """
    settings = instantiate(Trainer, recipe.trainer)
    split_interval(settings)
    _choose_devices(settings, recipe, model, data)
    quiet_lightning()
    return _trainer(
        {"enable_progress_bar": False, "enable_model_summary": False, **settings},
        default_root_dir=folder,
        logger=False,
    )


def evaluation_trainer(
    settings: Mapping[str, Any], folder: Path, callbacks: Sequence[Callback] = ()
) -> Trainer:
    """A Trainer that measures and keeps nothing, on one device unless told otherwise.

    Args:
        settings: Arguments of the Trainer that concern a measurement.
        folder: A scratch folder.
        callbacks: Those that are not the user's settings.

    Raises:
        UsageError: Lightning refuses the settings.
    """
    quiet_lightning()
    users = listed(settings.get("callbacks"))
    return _trainer(
        {"devices": 1, **settings, "callbacks": [*users, *callbacks]},
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )


def _trainer(settings: Mapping[str, Any], **own: Any) -> Trainer:
    try:
        return Trainer(**{**settings, **own})
    except (MisconfigurationException, ImportError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"Lightning's Trainer refuses the settings --trainer...: {reason}"
        ) from error


def _choose_devices(
    settings: dict[str, Any],
    recipe: Recipe,
    model: LightningModule,
    data: LightningDataModule,
    run: Run | None = None,
) -> None:
    if settings.get("accelerator", "auto") == "auto":
        begun = run is not None and run.recipe_file.is_file()
        if run and begun and (device := run.environment.get("device")):
            settings["accelerator"] = _as_begun(device.partition(":")[0])
        elif isinstance(model, AcceleratorChooser):
            settings["accelerator"] = model.choose_accelerator(data)
    if recipe.trainer.get("devices") in (None, "auto"):
        # One process unless asked for more: a recipe states the batch size of one.
        settings["devices"] = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        nodes = int(os.environ.get("WORLD_SIZE", "1")) // settings["devices"]
        settings.setdefault("num_nodes", nodes)


def _as_begun(device: str) -> str:
    """The accelerator that continues a run which began on a device of this type: on another one
    its numbers would differ by rounding."""
    here = cuda.is_available()
    if device == "cpu" and here:
        rank_zero_print(
            "the run began on the CPU and continues there; --trainer.accelerator gpu takes the GPU"
        )
    if device == "cuda" and not here:
        rank_zero_print(
            "the run began on a GPU, and torch sees none here: it continues on the CPU, whose "
            "numbers differ by rounding"
        )
        return "cpu"
    return device


def listed(given: Any) -> list[Any]:
    """What the Trainer takes one of or several, as a list."""
    if given is None or given is False:
        return []
    return list(given) if isinstance(given, (list, tuple)) else [given]


def destroy_process_group() -> None:
    """Close the connections to the other processes.

    A process that exits with them open can abort (gloo's threads), whereupon torchrun stops the
    first process before it has written the bundle.
    """
    distributed.destroy_process_group()
