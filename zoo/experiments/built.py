"""What a recipe describes, built and set up, for what is to be known before it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch import LightningDataModule, seed_everything

from zoo.bundles.stages import require_earlier_stages
from zoo.errors import UsageError
from zoo.recipes.experiment import Experiment, resolve, with_trainer_defaults
from zoo.recipes.recipe import Recipe, override
from zoo.recipes.trust import refuse_untrusted
from zoo.training.input_channels import with_channels_of_data
from zoo.training.train import as_recipe, prepare_data

if TYPE_CHECKING:
    from zoo.plugin.protocols import ZooLightningModule


@dataclass(frozen=True)
class Asked:
    """A recipe with its overrides, checked.

    Attributes:
        base: The recipe without the overrides.
        recipe: As written, with the overrides.
        experiment: The same, resolved.
        overrides: The overrides.
    """

    base: Recipe
    recipe: Recipe
    experiment: Experiment
    overrides: Mapping[str, Any]


def ask(
    recipe: str | Path | Recipe | Mapping[str, Any],
    overrides: Mapping[str, Any] | None,
    trust: bool,
) -> Asked:
    """Read a recipe and check its keys and values.

    Args:
        recipe: As for ``zoo.train``.
        overrides: As there.
        trust: As there.

    Raises:
        UsageError: as there; or it has ``fast_dev_run``, which measures nothing.
    """
    changes = dict(overrides or {})
    base = as_recipe(recipe)
    if trust and base.path:
        base = replace(base, source="")
    asked = override(base, changes)
    refuse_untrusted(asked)
    if asked.trainer.get("fast_dev_run"):
        raise UsageError("'trainer.fast_dev_run' keeps nothing to choose by: omit it")
    return Asked(base, asked, resolve(with_trainer_defaults(asked)), changes)


def build(asked: Asked) -> tuple[Experiment, ZooLightningModule, LightningDataModule]:
    """Its model and its data, set up for fitting; the test part is not touched.

    Raises:
        UsageError: as of ``zoo.train``.
    """
    experiment = asked.experiment
    require_earlier_stages(experiment.recipe)
    seed_everything(experiment.recipe.seed, workers=True, verbose=False)
    data, facts = prepare_data(experiment)
    experiment = with_channels_of_data(experiment.with_facts(facts), asked.overrides)
    return experiment, experiment.build_model(), data
