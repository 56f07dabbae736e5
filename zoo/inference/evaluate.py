"""Measure a trained model on data."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule, Trainer, seed_everything

from zoo.bundles.bundle import Bundle, read_bundle
from zoo.bundles.load import bundled_recipe, rebuild
from zoo.bundles.references import require_trained_models
from zoo.bundles.stages import run_of
from zoo.errors import UsageError
from zoo.io.atomic import write_atomically
from zoo.io.rank_zero import rank_zero_print
from zoo.plugin.declarations import trainer_defaults
from zoo.plugin.parts import has_part
from zoo.plugin.protocols import DataDescriber
from zoo.recipes.experiment import Experiment, resolve, with_current_names
from zoo.recipes.recipe import Recipe, override
from zoo.recipes.signatures import instantiate
from zoo.registry.registry import registry
from zoo.runs.run import Run, require_empty
from zoo.training.csv_logger import MetricsLogger, metrics_of
from zoo.training.draw import draw
from zoo.training.seeding import SeededTest
from zoo.training.trainer import evaluation_trainer

SETTINGS = (
    "accelerator",
    "benchmark",
    "callbacks",
    "detect_anomaly",
    "deterministic",
    "devices",
    "inference_mode",
    "limit_test_batches",
    "num_nodes",
    "plugins",
    "precision",
    "profiler",
    "strategy",
    "use_distributed_sampler",
)
"""Trainer arguments that concern a measurement."""


def evaluate(
    reference: str | Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
) -> dict[str, float]:
    """Measure the model that ``reference`` names.

    Args:
        reference: As for ``zoo.load``. A run folder also says where its data are.
        overrides: Dotted keys of data and Trainer, such as ``{"data.split": "all"}``; another
            dataset by ``data.name``.
        out: A new folder for ``metrics.json`` and ``plots/``.

    Returns:
        The metrics, by their logged names.

    Raises:
        UsageError: reference, overrides or data are wrong, the data have no test part, or their
            classes are not the model's.
    """
    if out is not None:
        require_empty(out, resumable=False)
    bundle = read_bundle(reference)
    experiment = experiment_of(
        bundle, {**own_root(reference, overrides or {}), **(overrides or {})}
    )
    _refuse_settings_of_training(experiment.recipe)
    seed = experiment.recipe.seed
    seed_everything(seed, workers=True, verbose=False)
    model = rebuild(bundle)
    data = experiment.build_data()
    if type(model).test_step is LightningModule.test_step:
        raise UsageError(
            f"a {bundle.model_name!r} has no test_step, so it cannot be measured: write one that "
            "logs metrics"
        )
    data.prepare_data()
    _refuse_other_facts(bundle, dict(data.facts), experiment.recipe.data_name)
    _require_test_part(data, experiment.recipe.data_name)
    if isinstance(data, DataDescriber):
        rank_zero_print(", ".join(data.describe_found()))
    settings = instantiate(Trainer, experiment.recipe.trainer)
    with tempfile.TemporaryDirectory() as scratch:
        trainer = evaluation_trainer(settings, Path(scratch), [SeededTest(seed)])
        trainer.test(model, datamodule=data, verbose=False)
    metrics = metrics_of(trainer)
    if out is not None:
        run = Run(Path(out))
        run.write_json("metrics.json", metrics)
        write_atomically(run.recipe_file, experiment.recipe.to_yaml().encode())
        draw(run, MetricsLogger(run.metrics_csv), model, data, seed)
    return metrics


def experiment_of(bundle: Bundle, overrides: Mapping[str, Any]) -> Experiment:
    """The bundle's experiment with other data or Trainer settings.

    Raises:
        UsageError: an override is of the model, or wrong, or a trained model is missing that the
            data are made with.
    """
    for key in overrides:
        if key.startswith("model."):
            raise UsageError(f"--{key}: a trained model keeps its arguments; omit it")
        if key.startswith("init_from."):
            raise UsageError(f"--{key}: a trained model has its weights; omit it")
    recipe = with_current_names(bundled_recipe(bundle))
    # Where and how it was trained says nothing of where it is measured, but for the precision.
    settings = {k: v for k, v in recipe.trainer.items() if k == "precision"}
    defaults = trainer_defaults(registry().load(registry().model(bundle.model_name).entry))
    settings = {**{k: v for k, v in defaults.items() if k in SETTINGS}, **settings}
    experiment = resolve(override(replace(recipe, trainer=settings), overrides))
    require_trained_models(experiment.recipe, "data")  # the model's are in the bundle
    return experiment


def own_root(reference: str | Path, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Where the data of a run are, as an override: its recipe says so, while a bundle, which is
    made to be passed on, does not.

    Args:
        reference: As for ``zoo.load``; only a run folder has such a recipe.
        overrides: What was asked for; where that names data, nothing is added.
    """
    run = run_of(reference)
    if {"data.root", "data.name"} & overrides.keys() or not run.recipe_file.is_file():
        return {}
    root = run.recipe.data.get("root")
    return {} if root is None else {"data.root": root}


def _require_test_part(data: LightningDataModule, name: str) -> None:
    if has_part(data, "test"):
        return
    raise UsageError(
        f"the data {name!r} have no test part: measure on other data with --data NAME, or on all "
        "that is found under a folder with --data.root DIR --data.split all"
    )


def _refuse_settings_of_training(recipe: Recipe) -> None:
    """Only what concerns a measurement is taken.

    Raises:
        UsageError: another setting of the Trainer is given.
    """
    wrong = [f"'trainer.{key}'" for key in recipe.trainer if key not in SETTINGS]
    if wrong:
        verb = "concerns" if len(wrong) == 1 else "concern"
        raise UsageError(
            f"{', '.join(wrong)} {verb} no measurement: a test takes {', '.join(SETTINGS)} of the "
            "Trainer's arguments"
        )


def _refuse_other_facts(bundle: Bundle, facts: Mapping[str, Any], data_name: str) -> None:
    """The model's classes and channels have to be the data's."""
    for fact in ("label_names", "num_classes", "in_channels"):
        trained, found = bundle.facts.get(fact), facts.get(fact)
        if trained is not None and found is not None and trained != found:
            raise UsageError(
                f"{fact} of {data_name!r} is {found}, the model was trained for {trained}: "
                f"`zoo finetune` adapts it to other data"
            )
