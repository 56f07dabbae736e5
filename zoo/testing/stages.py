"""Earlier stages of what is checked: a step of each recipe that arguments or weights come from."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from zoo.bundles.stages import PREFIX
from zoo.io.data_folder import data_folder
from zoo.recipes.recipe import Recipe, read_recipe
from zoo.recipes.references import change_references, with_references
from zoo.recipes.signatures import defaults
from zoo.registry.registry import Registry, registry
from zoo.runs.run import Run
from zoo.testing.results import Skip
from zoo.training.train import train

BATCH_SIZE = 16
QUICK: dict[str, Any] = {
    "accelerator": "cpu",
    "devices": 1,
    "max_epochs": 1,
    "limit_train_batches": 1,
    "limit_val_batches": 1,
    "limit_test_batches": 1,
    "num_sanity_val_steps": 0,
    "enable_progress_bar": False,
    "logger": False,
}
"""Trainer settings of one step."""
_NEUTRAL: dict[str, Any] = {"strategy": "auto", "precision": "32-true", "val_check_interval": 1.0}
"""Settings that one step on a CPU may not allow, replaced where a recipe has them."""


def train_quickly(recipe: Recipe, out: Path) -> Run:
    """A step of a recipe through ``zoo.train``, to test and bundle, after one of each recipe that
    it begins from.

    Raises:
        Skip: the data of one of those are not available.
    """
    data = registry().load(registry().dataset(recipe.data_name))
    changes = {f"trainer.{key}": value for key, value in QUICK.items()}
    changes |= {f"trainer.{k}": v for k, v in _NEUTRAL.items() if k in recipe.trainer}
    size = recipe.data.get("batch_size", defaults(data).get("batch_size", 0))
    if isinstance(size, int) and size > BATCH_SIZE:  # None leaves batches to the data
        changes["data.batch_size"] = BATCH_SIZE
    return train(_after_earlier(recipe), changes, out=out)


def with_quick_runs(cls: type, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Constructor arguments in which ``recipe:NAME`` is a run of one step of that recipe."""
    return change_references(cls, arguments, _quickly)


def _after_earlier(recipe: Recipe) -> Recipe:
    recipe = with_references(recipe, _quickly)
    if "reference" in recipe.init_from:
        reference = _quickly(str(recipe.init_from["reference"]))
        recipe = replace(recipe, init_from={**recipe.init_from, "reference": reference})
    return recipe


def _quickly(reference: str) -> str:
    if not reference.startswith(PREFIX):
        return reference
    return str(_quick_run(registry(), reference.removeprefix(PREFIX)))


@cache
def _quick_run(known: Registry, asked: str) -> Path:
    """Trained once for all checks; its folder goes with the process."""
    recipe = read_recipe(asked)
    dataset = known.dataset(recipe.data_name)
    root = data_folder(dataset.name)
    if not dataset.embedded and "root" not in recipe.data and not root.exists():
        raise Skip(
            f"the data of {asked} are not available: there is no {root} ($ZOO_DATA moves it)"
        )
    folder = _scratch() / str(len(list(_scratch().iterdir())))
    folder.mkdir()
    return train_quickly(recipe, folder / "run").path


@contextlib.contextmanager
def without_quick_runs() -> Iterator[None]:
    """As on a machine on which no earlier stage was trained."""
    away = _scratch().rename(_scratch().with_suffix(".away"))
    try:
        yield
    finally:
        away.rename(_scratch())


def _scratch() -> Path:
    return Path(_folder().name)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="zoo-stages-")
