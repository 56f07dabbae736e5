"""The user's own loggers: which of their runs this one is, also after a resume, what they are told
about it at the start and what they get at its end."""

from __future__ import annotations

import csv
import json
import os
import uuid
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger, WandbLogger
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from zoo.io.rank_zero import rank_zero_print
from zoo.recipes.recipe import Recipe
from zoo.runs.run import Run

PROJECT = "zoo"
"""W&B's project and MLflow's experiment, where the recipe names none."""
_UNNAMED = "lightning_logs"
_ID = {
    "CSVLogger": "version",
    "CometLogger": "experiment_key",
    "MLFlowLogger": "run_id",
    "TensorBoardLogger": "version",
    "WandbLogger": "id",
}
"""The argument of each logger that names the run to continue."""


def with_identity(given: Any, run: Run, recipe: Recipe) -> Any:
    """The setting ``trainer.logger``, so that a resumed run continues what its loggers began.

    Args:
        given: The setting: a boolean, a class path with its arguments, or a list of them.
        run: The run, whose ``environment.json`` holds the identities if it was begun.
        recipe: Gives runs their name.

    Returns:
        The same; what says who a run is, and is not given, is filled in.
    """
    if isinstance(given, Mapping):
        (given,) = with_identity([given], run, recipe)
        return given
    if not isinstance(given, Sequence) or isinstance(given, str):
        return given
    begun = run.environment.get("loggers", [])
    found = []
    for index, each in enumerate(given):
        if not isinstance(each, Mapping) or "class_path" not in each:
            found.append(each)
            continue
        name = str(each["class_path"]).rpartition(".")[2]
        before = begun[index] if index < len(begun) and begun[index]["class"] == name else {}
        arguments = dict(each.get("init_args") or {})
        _fill_in(name, arguments, before.get("version"), f"{recipe.name}/{run.path.name}")
        path = each["class_path"]
        if name == "CSVLogger":
            path = f"{ContinuedCSVLogger.__module__}.{ContinuedCSVLogger.__name__}"
        found.append({**each, "class_path": path, "init_args": arguments})
    return found


def _fill_in(name: str, arguments: dict[str, Any], version: Any, label: str) -> None:
    identity = _ID.get(name)
    if identity and arguments.get(identity) is None and version is not None:
        arguments[identity] = version
    if name == "WandbLogger":
        if arguments.get("id") is None:
            arguments["id"] = uuid.uuid4().hex[:8]  # known before the first step, and noted
        if arguments.get("name") is None:
            arguments["name"] = label
        if arguments.get("project") is None and "WANDB_PROJECT" not in os.environ:
            arguments["project"] = PROJECT
    elif name == "MLFlowLogger":
        if arguments.get("run_name") is None:
            arguments["run_name"] = label
        if arguments.get("experiment_name", _UNNAMED) == _UNNAMED:
            arguments["experiment_name"] = PROJECT


def begin(loggers: Sequence[Logger], run: Run, recipe: Recipe, resumed: bool) -> None:
    """Note which runs the loggers write to, and tell them what is trained.

    Args:
        loggers: All but that of ``metrics.csv``.
        run: Its ``environment.json`` gets the identities.
        recipe: The resolved recipe.
        resumed: Whether they were told when the run began.
    """
    if not loggers:
        return
    run.note(loggers=[{"class": _class_of(each), "version": each.version} for each in loggers])
    described = hyperparameters(recipe, run.environment)
    for each in loggers:
        if not (resumed and isinstance(each, MLFlowLogger)):  # which takes each of them once
            each.log_hyperparams(described)


def _class_of(logger: Logger) -> str:
    return "CSVLogger" if isinstance(logger, ContinuedCSVLogger) else type(logger).__name__


def hyperparameters(recipe: Recipe, environment: Mapping[str, Any]) -> dict[str, Any]:
    """What an experiment was: recipe, seed, model, data, Trainer settings and versions.

    Args:
        recipe: The resolved recipe.
        environment: The content of ``environment.json``.

    Returns:
        Numbers, booleans and texts by dotted names, such as ``data.batch_size``.
    """
    content = {
        "recipe": recipe.name,
        **{key: value for key, value in recipe.as_dict().items() if key != "about"},
        "versions": environment.get("versions", {}),
        "command": environment.get("command", ""),
    }
    return _flat(content)


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {
            key: found
            for inner, each in value.items()
            for key, found in _flat(each, f"{name}.{inner}" if name else str(inner)).items()
        }
    plain = value is None or isinstance(value, bool | int | float | str)
    return {name: value if plain else json.dumps(value, default=str)}


def end(loggers: Sequence[Logger], run: Run, step: int) -> None:
    """Give the loggers the plots, and the bundle to those that keep files.

    A service that does not answer any more costs a finished run nothing: it is told.

    Args:
        loggers: All but that of ``metrics.csv``.
        run: With its plots and bundle.
        step: The last optimizer step.
    """
    plots = sorted(run.plots.glob("*.png"))
    for each in loggers:
        try:
            if isinstance(each, WandbLogger):
                _end_wandb(each, run, plots)
            elif isinstance(each, MLFlowLogger):
                for path in plots:
                    each.experiment.log_artifact(each.run_id, str(path), "plots")
                each.experiment.log_artifacts(each.run_id, str(run.bundle), "bundle")
            elif isinstance(each, TensorBoardLogger):
                _add_images(each, plots, step)
        except Exception as error:  # noqa: BLE001 - each service has errors of its own
            rank_zero_print(
                f"{type(each).__name__} did not take the plots and the bundle, which are in "
                f"{run.path} ({type(error).__name__}: {error})"
            )


def _end_wandb(logger: WandbLogger, run: Run, plots: Sequence[Path]) -> None:
    for path in plots:
        logger.log_image(f"plots/{path.stem}", [str(path)])
    logger.experiment.log_artifact(str(run.bundle), name=f"bundle-{logger.version}", type="model")
    logger.experiment.finish()  # the next training of this process is a run of its own


def _add_images(logger: TensorBoardLogger, plots: Sequence[Path], step: int) -> None:
    from matplotlib.image import imread

    for path in plots:
        pixels = imread(path)[..., :3]
        logger.experiment.add_image(f"plots/{path.stem}", pixels, step, dataformats="HWC")
    logger.experiment.close()


class ContinuedCSVLogger(CSVLogger):
    """Lightning's logger, which does not throw away the rows of before a resume."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._first = True

    @property
    def experiment(self) -> Any:
        """Lightning's writer, which removes the file of an earlier one as it is made."""
        if self._experiment is not None:
            return super().experiment
        path = Path(self.log_dir) / "metrics.csv"
        earlier = _read(path) if path.is_file() else []
        path.unlink(missing_ok=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*Previous log files .* will be deleted.*")
            writer = super().experiment
        if writer is not None:
            _write(writer, earlier)
        return writer

    @rank_zero_only
    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        """Add a row; the first one takes the place of all from its step on."""
        writer = self.experiment
        if self._first and Path(writer.metrics_file_path).is_file():
            rows = _read(Path(writer.metrics_file_path))
            _write(writer, [row for row in rows if int(row.get("step") or 0) < (step or 0)])
        self._first = False
        super().log_metrics(dict(metrics), step)


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write(writer: Any, rows: Sequence[Mapping[str, str]]) -> None:
    if not rows:
        Path(writer.metrics_file_path).unlink(missing_ok=True)
        return
    writer.metrics_keys = list(rows[0])
    with Path(writer.metrics_file_path).open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, fieldnames=list(rows[0]))
        table.writeheader()
        table.writerows(rows)
