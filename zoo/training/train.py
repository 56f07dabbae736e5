"""THE training entrypoint: from a recipe to a module, a datamodule and a Trainer, to a run.

``train`` resolves the recipe and builds model and data; ``fit`` trains what was built. The order
of a run: train, load the best, test, draw plots, write the bundle.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback

from zoo.bundles.bundle import write_bundle
from zoo.bundles.references import (
    describe_references,
    require_same_references,
    require_trained_models,
)
from zoo.bundles.stages import require_earlier_stages, with_runs
from zoo.bundles.verify import require_same
from zoo.errors import UsageError, format_problems
from zoo.io.atomic import remove_leftovers
from zoo.io.rank_zero import is_distributed, is_rank_zero, rank_zero_print
from zoo.plugin.counters import counters
from zoo.plugin.declarations import abilities, head_of
from zoo.plugin.parts import why_untested
from zoo.plugin.protocols import Facts
from zoo.recipes.experiment import (
    Experiment,
    resolve,
    with_current_names,
    with_trainer_defaults,
)
from zoo.recipes.recipe import Recipe, make_recipe, override, read_recipe
from zoo.recipes.trust import refuse_untrusted
from zoo.report.run_report import write_run_report
from zoo.runs.environment import now
from zoo.runs.run import (
    RUNS,
    Run,
    create_run,
    describe_again,
    discard_folder,
    locked,
    newest_unfinished,
    open_run,
    plan_run,
    require_empty,
    require_name,
)
from zoo.training import loggers, on_gpu
from zoo.training.beginning import tell_beginning
from zoo.training.best_weights import BestWeights, keep_best_by_default, load_best
from zoo.training.checkpoint_files import exists
from zoo.training.counting import refuse_uncounted, split_interval
from zoo.training.csv_logger import metrics_of, with_tested
from zoo.training.dev_run import dev_run
from zoo.training.draw import as_in_training, draw
from zoo.training.gradient_free import refuse_processes_without_gradients
from zoo.training.input_channels import with_channels_of_data
from zoo.training.interruption import interruptible
from zoo.training.monitors import refuse_without_validation
from zoo.training.refusals import refusals
from zoo.training.seeding import SeededTest
from zoo.training.trainer import ResumableTrainer, destroy_process_group, listed, run_settings
from zoo.training.warm_start import Freeze, load_initial_weights, read_init_from

if TYPE_CHECKING:
    from zoo.plugin.protocols import ZooLightningModule


def train(
    recipe: str | Path | Recipe | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    trust: bool = False,
) -> Run:
    """Train, test and bundle what a recipe describes.

    Args:
        recipe: A recipe's name (``vision/mpcnn-digits``), its YAML file, what such a file holds
            as a mapping, or a Recipe.
        overrides: Dotted keys to values, such as ``{"model.lr": 0.01, "trainer.max_epochs": 3}``.
        out: The run folder; ``runs/<recipe>/<time>`` by default.
        resume: ``"auto"`` continues the newest unfinished run of the recipe (or the one in
            ``out``) and starts a new one if there is none; a folder continues that run.
        trust: Let a recipe file, or the recipe of a resumed run, name code that neither Lightning
            nor an installed plugin brings; what ``overrides`` name needs no leave.

    Returns:
        The finished run; with ``trainer.fast_dev_run`` one whose folder is gone.

    Raises:
        UsageError: recipe, overrides or data are wrong; nothing was written.
        TrainingInterrupted: Ctrl-C or SIGTERM ended the run, which can be continued.
    """
    return _train(recipe, overrides, out, resume, trust)


def train_untested(
    recipe: str | Path | Recipe | Mapping[str, Any],
    overrides: Mapping[str, Any] | None,
    why: str,
    *,
    out: str | Path,
    resume: str | Path | None = None,
    trust: bool = False,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """As ``train``, and the run ends with its training: the test part of the data is not read,
    nothing is drawn from it, and there is no bundle.

    Args:
        recipe: As there.
        overrides: As there.
        why: Why it is not tested, for its ``environment.json``: ``a trial of a sweep``.
        out: As there.
        resume: As there.
        trust: As there.
        callbacks: In addition to those of the recipe, and no part of it.

    Returns:
        The finished run.

    Raises:
        UsageError: as there.
        TrainingInterrupted: as there.
    """
    return _train(recipe, overrides, out, resume, trust, callbacks, why)


def _train(
    recipe: str | Path | Recipe | Mapping[str, Any],
    overrides: Mapping[str, Any] | None,
    out: str | Path | None,
    resume: str | Path | None,
    trust: bool,
    additional: Sequence[Callback] = (),
    untested: str = "",
) -> Run:
    if out is not None:
        require_name(out)
    asked = as_recipe(recipe)
    run = find_resumed(asked.name, out, resume)
    if run is None and out is not None and is_rank_zero():
        require_empty(out)
    base = _recipe_of(run, asked) if run else asked
    if run:
        base = replace(base, source=f"the run {run.path}")
    if trust and (run or base.path):
        base = replace(base, source="")
    base = override(base, dict(overrides or {}))
    refuse_untrusted(base)
    experiment = resolve(base if run else with_trainer_defaults(base))
    if run:
        _refuse_other_experiment(run, with_runs(experiment.recipe))
        if run.finished:
            return run
    experiment = _with_earlier_stages(experiment, run)
    seed_everything(experiment.recipe.seed, workers=True, verbose=False)
    data, facts = prepare_data(experiment)
    planned = experiment.with_plan(data).with_facts(facts)
    experiment = with_channels_of_data(planned, overrides or {})
    model = experiment.build_model()
    callbacks, origin = initialize(model, experiment.recipe, run)
    undecided = run is None or "trainer.callbacks" in (overrides or {})
    # What a fold holds out measures the model; it does not choose the epoch too.
    if undecided and not experiment.recipe.fold:
        experiment = keep_best_by_default(experiment, model, data)
    return fit(experiment, model, data, run, out, [*callbacks, *additional], origin, untested)


_LIMITS = ("max_epochs", "max_steps", "max_time", "min_epochs", "min_steps", "callbacks")
"""Trainer settings that decide when a training ends."""


def _with_earlier_stages(experiment: Experiment, run: Run | None) -> Experiment:
    """The experiment with the trained models that it begins from, each named by its folder.

    Raises:
        UsageError: one is not there, or is not that of the run to be continued.
    """
    recipe = experiment.recipe
    begun = run is not None and exists(run.checkpoint)  # it has the weights of `init_from`
    require_earlier_stages(recipe, init_from=not begun)
    recipe = with_runs(recipe)
    require_trained_models(recipe)
    if run:
        require_same_references(run.environment.get("references", {}), recipe, str(run.path))
    return replace(experiment, recipe=recipe)


def _recipe_of(run: Run, asked: Recipe) -> Recipe:
    recipe = with_current_names(run.recipe)
    if "recipe" in run.environment:
        return recipe
    return replace(recipe, name=asked.name)  # environment.json is lost


def as_recipe(recipe: str | Path | Recipe | Mapping[str, Any]) -> Recipe:
    """A recipe out of what ``train`` takes for one.

    Raises:
        UsageError: it is not of a recipe's form.
    """
    if isinstance(recipe, Recipe):
        return recipe
    if isinstance(recipe, Mapping):
        return make_recipe(recipe, "recipe")
    return read_recipe(recipe)


def find_resumed(name: str, out: str | Path | None, resume: str | Path | None) -> Run | None:
    """The run that ``resume`` asks to continue; None if a new one is to be started.

    Raises:
        UsageError: the given folder is not a run, or ``out`` contradicts it.
    """
    if resume is None:
        return None
    if str(resume) != "auto":
        if out is not None and Path(out).resolve() != Path(resume).resolve():
            raise UsageError("--resume RUN continues in RUN: omit --out")
        return open_run(resume)
    if out is None:
        return newest_unfinished(name, RUNS)
    return open_run(out) if Run(Path(out)).recipe_file.is_file() else None


def prepare_data(experiment: Experiment) -> tuple[LightningDataModule, Facts]:
    """The datamodule, checked and set up for fitting, and its facts.

    Raises:
        UsageError: the data are missing, unreadable or inconsistent.
    """
    data = experiment.build_data()
    if is_rank_zero():
        data.prepare_data()
    facts = dict(data.facts)
    data.setup("fit")
    return data, facts


def fit(
    experiment: Experiment,
    model: LightningModule,
    data: LightningDataModule,
    run: Run | None = None,
    out: str | Path | None = None,
    callbacks: Sequence[Callback] = (),
    origin: Mapping[str, Any] | None = None,
    untested: str = "",
) -> Run:
    """Train a built model on built data, then test it, draw its plots and bundle it.

    Args:
        experiment: What model and data were built from.
        model: The module, seeded and initialized.
        data: The datamodule, set up.
        run: An unfinished run to continue; a new one is made otherwise.
        out: Where to make a new one.
        callbacks: Callbacks in addition to those of the recipe.
        origin: For a fine-tuned model, where its weights came from; kept in the bundle.
        untested: Why it is neither tested nor bundled; empty if it is.

    Raises:
        UsageError: the Trainer's settings do not fit model or data; no folder is left.
    """
    recipe, resumed, callers_group = experiment.recipe, run is not None, is_distributed()
    if recipe.trainer.get("fast_dev_run"):
        return dev_run(recipe, model, data, resumed)
    if run is None:
        run = plan_run(recipe, out) if is_rank_zero() else Run(Path(out or RUNS))
    try:
        resumable = _make_trainer(run, recipe, model, data, callbacks)
    except BaseException:  # settings that are refused leave no folder
        if is_rank_zero() and not resumed and out is None:
            discard_folder(run.path)
        raise
    longer = resumed and (
        recipe.budget != run.recipe.budget
        or any(recipe.trainer.get(name) != run.recipe.trainer.get(name) for name in _LIMITS)
    )
    if is_rank_zero() and not resumed:  # only now, for the same reason
        create_run(run, recipe)
    with _alone(run), refusals(run, resumable, experiment, resumed, out is None):
        if is_rank_zero():
            _note_beginning(run, recipe, resumable.trainer, model, origin)
            loggers.begin(resumable.others, run, recipe, resumed)
            tell_beginning(run, resumable.trainer, model, data, tested=not untested)
        metrics, seconds, best = _train_and_test(
            resumable, model, data, run, resumed, longer, untested
        )
        if is_distributed() and not callers_group:
            destroy_process_group()
        if resumable.trainer.is_global_zero:
            _finish(run, resumable, model, data, experiment, metrics, seconds, best, untested)
        return run


def _make_trainer(
    run: Run,
    recipe: Recipe,
    model: LightningModule,
    data: LightningDataModule,
    callbacks: Sequence[Callback],
) -> ResumableTrainer:
    settings = run_settings(recipe, model, data, run)
    users = listed(settings.get("callbacks"))
    refuse_without_validation(users, data, settings.get("limit_val_batches"))
    refuse_uncounted(recipe.budget, split_interval(dict(settings)), users, model, data)
    callbacks = [*callbacks, SeededTest(recipe.seed)]
    resumable = ResumableTrainer(
        settings, run.path, run.checkpoint, run.metrics_csv, callbacks, recipe.budget
    )
    refuse_processes_without_gradients(resumable.trainer, model)
    return resumable


def _alone(run: Run) -> contextlib.AbstractContextManager[None]:
    return locked(run) if is_rank_zero() else contextlib.nullcontext()


def initialize(
    model: ZooLightningModule, recipe: Recipe, run: Run | None
) -> tuple[list[Callback], dict[str, Any]]:
    """Load the weights that the recipe starts from.

    Returns:
        The callbacks that fine-tuning needs, and where the weights came from.
    """
    init_from = read_init_from(recipe.init_from)
    if init_from is None:
        return [], {}
    callbacks: list[Callback] = []
    if init_from.freeze == "backbone":
        callbacks = [Freeze(head_of(model), init_from.unfreeze_at_epoch)]
    if run and exists(run.checkpoint):  # it has the weights; where they came from was noted
        return callbacks, run.environment.get("origin", {})
    matched, origin = load_initial_weights(model, init_from)
    if run and run.environment.get("origin", origin).get("sha256") != origin.get("sha256"):
        raise UsageError(
            f"{init_from.reference} holds other weights than the run {run.path} began from: put "
            "those back, or start another run without --resume"
        )
    rank_zero_print(f"{init_from.reference}: {matched.table()}")
    return callbacks, origin


def _note_beginning(
    run: Run,
    recipe: Recipe,
    trainer: Trainer,
    model: LightningModule,
    origin: Mapping[str, Any] | None,
) -> None:
    remove_leftovers(run.path)
    if "command" not in run.environment:  # it is lost
        describe_again(run, recipe)
    run.note(
        device=str(trainer.strategy.root_device),
        processes=trainer.world_size,
        precision=str(trainer.precision),
        deterministic=_deterministic(),
        **_gpu_settings(trainer, model),
    )
    if origin:
        run.note(origin=dict(origin))
    if "references" not in run.environment and (references := describe_references(recipe)):
        run.note(references=references)
    if recipe.overridden and "overridden" not in run.environment:
        run.note(overridden=list(dict.fromkeys(recipe.overridden)))


def _deterministic() -> bool | str:
    """As ``trainer.deterministic`` is given."""
    if torch.is_deterministic_algorithms_warn_only_enabled():
        return "warn"
    return torch.are_deterministic_algorithms_enabled()


def _gpu_settings(trainer: Trainer, model: LightningModule) -> dict[str, Any]:
    """Those that decide what a GPU computes; none elsewhere."""
    if trainer.strategy.root_device.type != "cuda":
        return {}
    return {
        "tf32": torch.backends.cudnn.allow_tf32,
        "cudnn_benchmark": on_gpu.chooses_by_trial(trainer, model),
    }


def _train_and_test(
    resumable: ResumableTrainer,
    model: LightningModule,
    data: LightningDataModule,
    run: Run,
    resumed: bool,
    longer: bool,
    untested: str,
) -> tuple[dict[str, float], float, BestWeights | None]:
    """Returns the final metrics, the seconds that training took, and which weights are kept."""
    trainer = resumable.trainer
    started = time.monotonic()
    with interruptible(trainer, run):
        resumable.fit(model, data, resumed, longer)
    seconds = time.monotonic() - started
    if not resumed and not resumable.began:
        rank_zero_print(
            "nothing was trained, as the Trainer's limits allow no step: the weights are those "
            "that a training would start from"
        )
    metrics, counted = metrics_of(trainer), counters(model, data)
    best = load_best(trainer, model)
    if best:
        metrics |= best.metrics(resumable.log.rows)
    metrics |= counted  # of the whole training, not of the best epoch
    if untested := untested or why_untested(model, data):
        rank_zero_print(f"{untested}: nothing was tested")
    else:
        with interruptible(trainer, run):
            resumable.test(model, data)
        metrics = with_tested(metrics, metrics_of(trainer))
    return {**metrics, **counted}, seconds, best


def _finish(
    run: Run,
    resumable: ResumableTrainer,
    model: LightningModule,
    data: LightningDataModule,
    experiment: Experiment,
    metrics: Mapping[str, float],
    seconds: float,
    best: BestWeights | None,
    untested: str,
) -> None:
    """Write metrics, plots, bundle and page; the run is finished once that is noted."""
    run.write_json("metrics.json", metrics)
    resumable.log.write()
    with as_in_training(resumable.trainer, model):
        draw(run, resumable.log, model, data, experiment.recipe.seed, samples=not untested)
    if untested:
        run.note(untested=untested)
    else:
        origin = run.environment.get("origin", {})
        write_bundle(run.bundle, model, experiment, metrics, run, origin)
        require_same(run.bundle, model)
    seconds += run.environment.get("fit_seconds", 0.0)
    kept = {"best_epoch": best.epoch + 1, "monitor": best.monitor} if best else {}
    loggers.end(resumable.others, run, resumable.trainer.global_step)
    resumable.files.finish()
    reasons = {"stop_reasons": found} if (found := resumable.stop_reasons) else {}
    noted = {
        "finished": now(),
        "fit_seconds": round(seconds, 2),
        "epochs": resumable.epochs,
        "abilities": abilities(model),
        **kept,
        **reasons,
    }
    write_run_report(run, {**run.environment, **noted})
    run.note(**noted)


def _refuse_other_experiment(run: Run, recipe: Recipe) -> None:
    before = with_current_names(run.recipe).as_dict()
    now_ = recipe.as_dict()
    machine = {"root", "num_workers"}
    problems = [
        f"'{section}.{key}' was {before[section].get(key)!r}, not {value!r}"
        for section in ("model", "data")
        for key, value in now_[section].items()
        if key not in machine and before[section].get(key) != value
    ]
    if before.get("fold") != now_.get("fold"):
        problems.append("'fold' was another")
    if before["seed"] != now_["seed"]:
        problems.append(f"'seed' was {before['seed']}, not {now_['seed']}")
    if problems:
        raise UsageError(
            format_problems(f"the run {run.path} continues as it began, and there", problems)
            + "; start another run without --resume"
        )
