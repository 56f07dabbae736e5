"""THE training entrypoint: from a recipe to a module, a datamodule and a Trainer, to a run."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException

from zoo import figures
from zoo.arguments import together
from zoo.bundles import write_bundle
from zoo.checkpointing import LastCheckpoint, LoaderPosition, RandomState
from zoo.epoch_figures import EpochFigures
from zoo.errors import UsageError, ZooError
from zoo.files import remove_leftovers
from zoo.metrics_log import MetricsLog, figures_of
from zoo.progress import say
from zoo.recipes import Experiment, Recipe, check, override, read_recipe
from zoo.runs import (
    RUNS,
    Run,
    create_run,
    locked,
    newest_unfinished,
    now,
    open_run,
    plan_run,
    require_empty,
)
from zoo.starting import Freeze, load_start, read_start
from zoo.trainers import in_group, leave_group, make_trainer, quiet_lightning


class Stopped(ZooError):
    """The user or a scheduler ended the run, which can be continued."""

    def __init__(self, run: Run, status: int) -> None:
        super().__init__(
            f"stopped; the run so far lies in {run.path}, continue it with "
            f"`zoo train {run.environment['recipe']} --resume {run.path}`"
        )
        self.run = run
        self.status = status


def train(
    recipe: str | Path | Recipe,
    overrides: Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
    resume: str | Path | None = None,
) -> Run:
    """Train, test and bundle what a recipe describes.

    Args:
        recipe: A recipe's name (``vision/mpcnn-digits``), its YAML file, or a Recipe.
        overrides: Dotted keys to values, such as ``{"model.lr": 0.01, "trainer.max_epochs": 3}``.
        out: The run folder; ``runs/<recipe>/<time>`` by default.
        resume: ``"auto"`` continues the newest unfinished run of the recipe (or the one in
            ``out``) and starts anew if there is none; a folder continues that run.

    Returns:
        The finished run.

    Raises:
        UsageError: recipe, overrides or data are wrong; nothing was written.
        Stopped: Ctrl-C or SIGTERM ended the run, which can be continued.
    """
    wanted = recipe if isinstance(recipe, Recipe) else read_recipe(recipe)
    changes = dict(overrides or {})
    run = find_resumed(wanted.name, out, resume)
    if run is None and out is not None and is_first_process():
        require_empty(out)
    experiment = check(override(run.recipe if run else wanted, changes))
    if run:
        _refuse_other_experiment(run, experiment.recipe)
        if run.finished:
            return run
    seed_everything(experiment.recipe.seed, workers=True, verbose=False)
    data, facts = prepare_data(experiment)
    experiment = experiment.settle(facts)
    model = experiment.build_model(facts)
    start = read_start(experiment.recipe.start)
    if start is None:
        return fit(experiment, model, data, run, out)
    callbacks = [] if start.freeze == "none" else [Freeze(tuple(model.head), start.thaw_at_epoch)]
    if run and run.checkpoint.is_file():  # it has the weights; where they came from was noted
        origin = run.environment.get("origin", {})
    else:
        matched, origin = load_start(model, start)
        say(f"{start.reference}: {matched.table()}")
    return fit(experiment, model, data, run, out, callbacks, origin)


def find_resumed(name: str, out: str | Path | None, resume: str | Path | None) -> Run | None:
    """The run that ``resume`` asks to continue; None if a new one is to be started.

    Raises:
        UsageError: the given folder is no run, or ``out`` contradicts it.
    """
    if resume is None:
        return None
    if str(resume) != "auto":
        if out is not None and Path(out).resolve() != Path(resume).resolve():
            raise UsageError("--resume RUN goes on in RUN: leave --out away")
        return open_run(resume)
    if out is None:
        return newest_unfinished(name, RUNS)
    return open_run(out) if Run(Path(out)).recipe_file.is_file() else None


def prepare_data(experiment: Experiment) -> tuple[Any, dict[str, Any]]:
    """The datamodule, checked and set up for fitting, and its facts.

    Raises:
        UsageError: the data are missing, unreadable or inconsistent.
    """
    data = experiment.build_data()
    if is_first_process():
        data.prepare_data()
    facts = dict(data.facts)
    data.setup("fit")
    return data, facts


def fit(
    experiment: Experiment,
    model: LightningModule,
    data: Any,
    run: Run | None = None,
    out: str | Path | None = None,
    callbacks: Sequence[Callback] = (),
    origin: Mapping[str, Any] | None = None,
) -> Run:
    """Train a built model on built data, then test it, draw its figures and bundle it.

    Args:
        experiment: What model and data were built from.
        model: The module, seeded and initialised.
        data: The datamodule, set up.
        run: An unfinished run to continue; a new one is made otherwise.
        out: Where to make a new one.
        callbacks: Callbacks beside those of the recipe.
        origin: For a fine-tuned model, where its weights came from; kept in the bundle.
    """
    first = is_first_process()
    quiet_lightning()
    resumed, callers_group = run is not None, in_group()
    if run is None:
        run = plan_run(experiment.recipe, out) if first else Run(Path(out or RUNS))
    log = MetricsLog(run.metrics_log)
    last = LastCheckpoint(run.checkpoint, log)
    reached = EpochFigures()
    own = [RandomState(), LoaderPosition(), reached, last, *callbacks]
    trainer = make_trainer(experiment.recipe, model, data, run, log, own)
    if first and not resumed:  # only now: settings that are refused leave no folder
        create_run(run, experiment.recipe)
    with locked(run) if first else contextlib.nullcontext():
        if first and resumed:
            remove_leftovers(run.path)
        if first and origin:
            run.note(origin=dict(origin))
        checkpoint = run.checkpoint if resumed and run.checkpoint.is_file() else None
        started = time.monotonic()
        with _stoppable(trainer, run):
            try:
                trainer.fit(model, datamodule=data, ckpt_path=checkpoint, weights_only=True)
            finally:
                last.release()
        seconds = time.monotonic() - started
        metrics = {**reached.before, **figures_of(trainer)}
        if _has_test_data(data):
            _load_best(trainer, model)
            with _stoppable(trainer, run):
                trainer.test(model, datamodule=data, verbose=False)
            metrics |= figures_of(trainer)
        if in_group() and not callers_group:
            leave_group()
        if not trainer.is_global_zero:
            return run
        seconds += run.environment.get("fit_seconds", 0.0)
        run.write_json("metrics.json", metrics)
        log.write()
        draw(run, log, model, data)
        write_bundle(run.bundle, model, experiment, dict(data.facts), metrics, run, origin or {})
        run.note(finished=now(), fit_seconds=round(seconds, 2), epochs=trainer.current_epoch)
        return run


def _load_best(trainer: Trainer, model: LightningModule) -> None:
    """A recipe that keeps the best by a validation figure tests the best."""
    path = getattr(trainer.checkpoint_callback, "best_model_path", "")
    if path:
        state = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(state["state_dict"])


def is_first_process() -> bool:
    """Whether this is the process that writes and prints, also before the Trainer exists."""
    return getattr(rank_zero_only, "rank", 0) == 0


def draw(run: Run, log: MetricsLog, model: Any, data: Any) -> None:
    """Write training curves, and what the model draws from one batch of test data."""
    series = {name: points for name, points in log.series().items() if "/" in name}
    figures.save(figures.curves(series), run.figures / "curves.png")
    if not hasattr(model, "draw_figures") or not _has_test_data(data):
        return
    batch = next(iter(data.test_dataloader()))
    batch = model.transfer_batch_to_device(batch, model.device, 0)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for name, figure in model.draw_figures(batch).items():
            figures.save(figure, run.figures / f"{name}.png")
    model.train(was_training)


@contextlib.contextmanager
def _stoppable(trainer: Trainer, run: Run) -> Iterator[None]:
    """What Ctrl-C and SIGTERM do to Lightning becomes ``Stopped``."""
    started = time.monotonic()
    try:
        yield
    except SIGTERMException as error:
        _keep(trainer, run, started)
        raise Stopped(run, 143) from error
    except SystemExit as error:  # what Lightning makes of Ctrl-C
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        _keep(trainer, run, started)
        raise Stopped(run, 130) from error
    except KeyboardInterrupt as error:
        _keep(trainer, run, started)
        raise Stopped(run, 130) from error


def _keep(trainer: Trainer, run: Run, started: float) -> None:
    """What a stopped run leaves: the figures so far and the seconds it took."""
    if trainer.is_global_zero:
        run.write_json("metrics.json", {**run.metrics, **figures_of(trainer)})
        before = run.environment.get("fit_seconds", 0.0)
        run.note(fit_seconds=round(before + time.monotonic() - started, 2))


def _has_test_data(data: LightningDataModule) -> bool:
    """Whether the datamodule has a test loader; an empty list, as Lightning allows it, is none."""
    if type(data).test_dataloader is LightningDataModule.test_dataloader:
        return False
    data.setup("test")
    return not isinstance(loaders := data.test_dataloader(), list) or bool(loaders)


def _refuse_other_experiment(run: Run, recipe: Recipe) -> None:
    before = run.recipe.as_dict()
    now_ = recipe.as_dict()
    machine = {"root", "num_workers"}
    problems = [
        f"'{section}.{key}' was {before[section].get(key)!r}, not {value!r}"
        for section in ("model", "data")
        for key, value in now_[section].items()
        if key not in machine and before[section].get(key) != value
    ]
    if before["seed"] != now_["seed"]:
        problems.append(f"'seed' was {before['seed']}, not {now_['seed']}")
    if problems:
        raise UsageError(
            together(f"the run {run.path} goes on as it began, and there", problems)
            + "; start another run without --resume"
        )
