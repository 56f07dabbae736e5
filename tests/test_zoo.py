"""The whole zoo: everything that the installed plugins register."""

import inspect

import pytest

from zoo.plugin import NumberedSteps
from zoo.plugin.entries import Dataset, Model
from zoo.recipes.experiment import resolve
from zoo.recipes.recipe import read_recipe
from zoo.recipes.signatures import argument_names
from zoo.registry.registry import registry

REAL = registry()

pytestmark = pytest.mark.whole_zoo


def test_every_plugin_is_ready() -> None:
    assert [(p.name, p.problem) for p in REAL.plugins if p.state != "ready"] == []
    assert REAL.clashes == []


@pytest.mark.parametrize("entry", [*REAL.models.values(), *REAL.datasets.values()], ids=str)
def test_every_entry_resolves(entry: Model | Dataset) -> None:
    from lightning.pytorch import LightningDataModule, LightningModule

    cls = REAL.load(entry)
    base = LightningModule if isinstance(entry, Model) else LightningDataModule
    assert issubclass(cls, base)
    assert inspect.getdoc(cls)
    names = argument_names(cls)
    if isinstance(entry, Model):
        assert not entry.wildcard or entry.wildcard in names
        assert {"example_input", "draw_plots"} <= set(dir(cls))
    else:
        assert "seed" in names
        assert issubclass(cls, NumberedSteps) or {"batch_size", "num_workers"} <= set(names)
        assert entry.embedded or "root" in names
        assert "facts" in dir(cls)


@pytest.mark.parametrize("name", REAL.models)
def test_every_model_says_where_it_comes_from(name: str) -> None:
    assert REAL.models[name].paper
    assert REAL.models[name].summary


HUB_TASKS = {
    "automatic-speech-recognition",
    "image-classification",
    "image-feature-extraction",
    "image-segmentation",
    "reinforcement-learning",
    "tabular-classification",
    "text-generation",
    "time-series-forecasting",
    "video-classification",
}
"""Some of those that the Hugging Face Hub filters by."""


@pytest.mark.parametrize("name", REAL.models)
def test_every_model_names_its_task_as_the_hub_does(name: str) -> None:
    assert REAL.models[name].task in HUB_TASKS | {""}  # where the hub has none


@pytest.mark.parametrize("name", REAL.datasets)
def test_every_dataset_states_its_terms(name: str) -> None:
    entry = REAL.datasets[name]
    assert entry.summary
    assert entry.license


@pytest.mark.parametrize("name", REAL.recipes)
def test_every_recipe_checks_out(name: str) -> None:
    recipe = read_recipe(name)
    for key in ("summary", "paper", "source"):
        assert recipe.about.get(key), f"about.{key} is missing"
    target = recipe.about["target"]
    assert target["metric"].startswith("test/") or target["metric"] == "val/average_return"
    # only a recipe for a user's own data has no target to reach, or one that says why
    own = REAL.datasets[recipe.data_name].license == "yours"
    without = own or recipe.about["source"].startswith(("no target", "measured, no"))
    assert isinstance(target["value"], (int, float)) or (without and target["value"] is None)
    experiment = resolve(recipe)
    assert experiment.recipe.trainer.get("max_epochs") or experiment.recipe.trainer.get("max_steps")
