"""Measure a trained model on data."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch import LightningDataModule, LightningModule, seed_everything
from torch import Tensor

from zoo.bundles.bundle import Bundle, read_bundle
from zoo.bundles.ensemble import Ensemble, members_of
from zoo.bundles.load import bundled_recipe, rebuild
from zoo.bundles.references import require_trained_models
from zoo.bundles.stages import run_of
from zoo.errors import UsageError
from zoo.inference.given_probabilities import measure_by, on_device, require_tester
from zoo.inference.views import use_tta
from zoo.io.atomic import write_atomically
from zoo.io.rank_zero import rank_zero_print
from zoo.plugin.declarations import fixed_test_batches, trainer_defaults
from zoo.plugin.folds import OtherDataError
from zoo.plugin.parts import has_part
from zoo.plugin.protocols import DataDescriber
from zoo.recipes.experiment import Experiment, resolve, with_current_names
from zoo.recipes.recipe import Recipe, override
from zoo.recipes.signatures import instantiate
from zoo.recipes.trainer import Trainer
from zoo.registry.registry import registry
from zoo.runs.run import Run, require_empty
from zoo.training.csv_logger import MetricsLogger, metrics_of
from zoo.training.draw import as_in_training, draw
from zoo.training.seeding import SeededTest
from zoo.training.trainer import evaluation_trainer

if TYPE_CHECKING:
    from zoo.plugin.protocols import ZooLightningDataModule, ZooLightningModule

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
    "tf32",
    "use_distributed_sampler",
)
"""Trainer arguments that concern a measurement."""
_OF_DRAWING = ("accelerator", "precision", "tf32")
"""Those that say where a plot is computed, and how."""


@dataclass(frozen=True)
class Measured:
    """A trained model and the data that it is measured on.

    Attributes:
        name: The reference, for messages.
        experiment: Its own, with what was asked for.
        model: In evaluation mode.
        data: Prepared; their facts are those of the model.
    """

    name: str | Path
    experiment: Experiment
    model: ZooLightningModule
    data: ZooLightningDataModule


def evaluate(
    reference: str | Path | Sequence[str | Path],
    overrides: Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
    tta: bool = False,
) -> dict[str, float]:
    """Measure the model that ``reference`` names.

    Args:
        reference: As for ``zoo.load``. A run folder also says where its data are. The
            probabilities of an ensemble are averaged, each member on its own preprocessing of the
            data.
        overrides: Dotted keys of data and Trainer, such as ``{"data.split": "all"}``; another
            dataset by ``data.name``.
        out: A new folder for ``metrics.json`` and ``plots/``.
        tta: Average over changed views of each input too, where the model says which.

    Returns:
        The metrics, by their logged names.

    Raises:
        UsageError: reference, overrides or data are wrong, the data have no test part, or their
            classes are not the model's.
    """
    if out is not None:
        require_empty(out, resumable=False)
    overrides = overrides or {}
    members = [prepare(each, overrides) for each in members_of(reference)]
    lead = members[0]
    if tta:
        use_tta([each.model for each in members], ", ".join(str(each.name) for each in members))
    _require_test_part(lead.data, lead.experiment.recipe.data_name)
    if isinstance(lead.data, DataDescriber):
        rank_zero_print(", ".join(lead.data.describe_found()))
    settings = instantiate(Trainer, lead.experiment.recipe.trainer)
    alone = len(members) == 1
    metrics = _test(lead, settings) if alone else _test_together(members, settings)
    if out is not None:
        run = Run(Path(out))
        run.write_json("metrics.json", metrics)
        recipe = lead.experiment.recipe
        write_atomically(run.recipe_file, recipe.to_yaml().encode())
        where = {key: settings[key] for key in _OF_DRAWING if key in settings}
        with tempfile.TemporaryDirectory() as scratch:
            trainer = evaluation_trainer(where, Path(scratch))
            with as_in_training(trainer, lead.model):
                draw(run, MetricsLogger(run.metrics_csv), lead.model, lead.data, recipe.seed)
    return metrics


def prepare(reference: str | Path, overrides: Mapping[str, Any]) -> Measured:
    """The model of a reference and its data, with what was asked for.

    Raises:
        UsageError: as of ``evaluate``.
    """
    bundle = read_bundle(reference)
    experiment = experiment_of(bundle, {**own_root(reference, overrides), **overrides})
    _refuse_settings_of_training(experiment.recipe)
    seed_everything(experiment.recipe.seed, workers=True, verbose=False)
    model = rebuild(bundle)
    if type(model).test_step is LightningModule.test_step:
        raise UsageError(
            f"a {bundle.model_name!r} has no test_step, so it cannot be measured: write one that "
            "logs metrics"
        )
    data, facts = _prepare_data(experiment, overrides)
    _refuse_other_facts(bundle, facts, experiment.recipe.data_name)
    return Measured(reference, experiment, model, data)


def _prepare_data(
    experiment: Experiment, overrides: Mapping[str, Any]
) -> tuple[ZooLightningDataModule, dict[str, Any]]:
    data = experiment.build_data()
    data.prepare_data()
    try:
        return data, dict(data.facts)
    except OtherDataError:
        if "data.root" not in overrides:
            raise
    rank_zero_print(
        f"{overrides['data.root']} holds other data than those that the model's fold is of: their "
        "own parts are taken"
    )
    return _prepare_data(replace(experiment, recipe=replace(experiment.recipe, fold={})), {})


def _test(measured: Measured, settings: Mapping[str, Any]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as scratch:
        callbacks = [SeededTest(measured.experiment.recipe.seed)]
        trainer = evaluation_trainer(dict(settings), Path(scratch), callbacks)
        trainer.test(measured.model, datamodule=measured.data, verbose=False)
    return metrics_of(trainer)


def _test_together(members: Sequence[Measured], settings: Mapping[str, Any]) -> dict[str, float]:
    """Test by the members' mean probabilities; the first member measures.

    Raises:
        UsageError: they have not the same classes, cannot be averaged, or several devices are
            asked for.
    """
    lead, *others = members
    Ensemble([str(each.name) for each in members], [each.model for each in members])
    testers = [require_tester(each.model, each.name) for each in members]
    if settings.get("devices", 1) not in (1, "1", "auto") or settings.get("num_nodes", 1) != 1:
        raise UsageError("an ensemble is measured on one device: omit trainer.devices")
    own = [iter(()) if _shares(lead, each) else _test_batches(each) for each in others]
    shared = [_shares(lead, each) for each in others]

    def give(batch: Any, batch_idx: int) -> Tensor:
        total = testers[0].predict_step(batch, batch_idx)
        for each, batches, same in zip(others, own, shared, strict=True):
            model = each.model.to(lead.model.device)
            theirs = batch if same else on_device(model, next(batches))
            part = require_tester(model, each.name).predict_step(theirs, batch_idx)
            if part.shape != total.shape:
                raise UsageError(
                    f"the probabilities of {lead.name} and {each.name} differ in shape, "
                    f"{list(total.shape)} and {list(part.shape)}: they see other test data"
                )
            total = total + part
        return total / len(members)

    seed = lead.experiment.recipe.seed
    return measure_by(lead.model, lead.data, give, {**settings, "devices": 1}, seed)


def _shares(lead: Measured, other: Measured) -> bool:
    """Whether the test batches of one are those of the other."""
    first, second = lead.experiment.recipe, other.experiment.recipe
    if (first.data_name, first.data) != (second.data_name, second.data):
        return False
    return first.fold == second.fold or fixed_test_batches(lead.data)


def _test_batches(measured: Measured) -> Iterator[Any]:
    _require_test_part(measured.data, measured.experiment.recipe.data_name)
    yield from measured.data.test_dataloader()


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
    if "data.split" in overrides:  # the parts of the fold are of the standard ones
        recipe = replace(recipe, fold={})
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
