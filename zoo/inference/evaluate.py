"""Measure a trained model on data."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer, seed_everything

from zoo.bundles.bundle import Bundle, read_bundle
from zoo.bundles.load import bundled_recipe, rebuild
from zoo.errors import UsageError
from zoo.io.atomic import write_atomically
from zoo.recipes.experiment import Experiment, resolve, with_current_names
from zoo.recipes.recipe import override
from zoo.recipes.signatures import instantiate
from zoo.runs.run import Run, require_empty
from zoo.training.csv_logger import MetricsLogger, metrics_of
from zoo.training.draw import draw
from zoo.training.trainer import evaluation_trainer


def evaluate(
    reference: str | Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
) -> dict[str, float]:
    """Measure the model that ``reference`` names.

    Args:
        reference: As for ``zoo.load``.
        overrides: Dotted keys of data and Trainer, such as ``{"data.split": "all"}``; another
            dataset by ``data.name``.
        out: A new folder for ``metrics.json`` and ``plots/``.

    Returns:
        The metrics, by their logged names.

    Raises:
        UsageError: reference, overrides or data are wrong, or the data's classes are not the
            model's.
    """
    if out is not None:
        require_empty(out)
    bundle = read_bundle(reference)
    experiment = experiment_of(bundle, overrides or {})
    seed_everything(experiment.recipe.seed, workers=True, verbose=False)
    model = rebuild(bundle)
    data = experiment.build_data()
    data.prepare_data()
    _refuse_other_facts(bundle, dict(data.facts), experiment.recipe.data_name)
    settings = instantiate(Trainer, experiment.recipe.trainer)
    chosen = {k: v for k, v in settings.items() if k in ("accelerator", "devices", "precision")}
    with tempfile.TemporaryDirectory() as scratch:
        trainer = evaluation_trainer(chosen, Path(scratch))
        trainer.test(model, datamodule=data, verbose=False)
    metrics = metrics_of(trainer)
    if out is not None:
        run = Run(Path(out))
        run.write_json("metrics.json", metrics)
        write_atomically(run.recipe_file, experiment.recipe.to_yaml().encode())
        draw(run, MetricsLogger(run.metrics_csv), model, data)
    return metrics


def experiment_of(bundle: Bundle, overrides: Mapping[str, Any]) -> Experiment:
    """The bundle's experiment with other data or Trainer settings.

    Raises:
        UsageError: an override is of the model, or wrong.
    """
    wrong = [key for key in overrides if key.startswith("model.")]
    if wrong:
        raise UsageError(f"--{wrong[0]}: a trained model keeps its arguments; omit it")
    recipe = with_current_names(bundled_recipe(bundle))
    # Where and how it was trained says nothing of where it is measured, but for the precision.
    precision = {k: v for k, v in recipe.trainer.items() if k == "precision"}
    return resolve(override(replace(recipe, trainer=precision), overrides))


def _refuse_other_facts(bundle: Bundle, facts: Mapping[str, Any], data_name: str) -> None:
    """The model's classes and channels have to be the data's."""
    for fact in ("label_names", "num_classes", "in_channels"):
        trained, found = bundle.facts.get(fact), facts.get(fact)
        if trained is not None and found is not None and trained != found:
            raise UsageError(
                f"{fact} of {data_name!r} is {found}, the model was trained for {trained}: "
                f"`zoo finetune` adapts it to other data"
            )
