"""Measure a trained model on data."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer, seed_everything

from zoo.arguments import instantiate
from zoo.bundles import Bundle, read_bundle, rebuild
from zoo.errors import UsageError
from zoo.files import write_atomically
from zoo.metrics_log import MetricsLog, figures_of
from zoo.recipes import Experiment, check, make_recipe, override
from zoo.runs import Run, require_empty
from zoo.trainers import quiet_lightning
from zoo.training import draw


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
        out: A new folder for ``metrics.json`` and ``figures/``.

    Returns:
        The figures, by their logged names.

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
    quiet_lightning()
    settings = instantiate(Trainer, experiment.recipe.trainer)
    devices = {k: v for k, v in settings.items() if k in ("accelerator", "devices", "precision")}
    with tempfile.TemporaryDirectory() as scratch:
        trainer = Trainer(
            **{"devices": 1, **devices},
            default_root_dir=scratch,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.test(model, datamodule=data, verbose=False)
    figures = figures_of(trainer)
    if out is not None:
        run = Run(Path(out))
        run.write_json("metrics.json", figures)
        write_atomically(run.recipe_file, experiment.recipe.to_yaml().encode())
        draw(run, MetricsLog(run.metrics_log), model, data)
    return figures


def experiment_of(bundle: Bundle, overrides: Mapping[str, Any]) -> Experiment:
    """The bundle's experiment with other data or Trainer settings.

    Raises:
        UsageError: an override is of the model, or wrong.
    """
    wrong = [key for key in overrides if key.startswith("model.")]
    if wrong:
        raise UsageError(f"--{wrong[0]}: a trained model keeps its arguments; leave it away")
    content = {key: value for key, value in bundle.recipe.items() if key != "name"}
    recipe = make_recipe(content, bundle.recipe["name"])
    return check(override(recipe, overrides))


def _refuse_other_facts(bundle: Bundle, facts: Mapping[str, Any], data_name: str) -> None:
    """The model's classes and channels have to be the data's."""
    for fact in ("label_names", "num_classes", "in_channels"):
        trained, found = bundle.facts.get(fact), facts.get(fact)
        if trained is not None and found is not None and trained != found:
            raise UsageError(
                f"{fact} of {data_name!r} is {found}, the model was trained for {trained}: "
                f"`zoo finetune` adapts it to other data"
            )
