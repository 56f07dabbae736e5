"""Callbacks whose defaults are objects train by name, and the recipe of the run repeats it."""

from typing import Any

import pytest

from zoo.training.train import train

QUIET = {"trainer.logger": False, "trainer.enable_progress_bar": False, "trainer.max_epochs": 2}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Timer", {"duration": "00:01:00:00"}),
        ("Timer", {"duration": "00:01:00:00", "interval": "epoch"}),
        ("StochasticWeightAveraging", {"swa_lrs": 0.01}),
        ("ModelPruning", {"pruning_fn": "l1_unstructured", "amount": 0.5}),
    ],
)
def test_a_callback_with_objects_as_defaults(
    toy: Any, name: str, arguments: dict[str, Any]
) -> None:
    callbacks = [{"class_path": name, "init_args": arguments}]
    run = train("toy/points", {**QUIET, "trainer.callbacks": callbacks}, out="run")
    (kept,) = run.recipe.trainer["callbacks"]
    assert {key: kept["init_args"][key] for key in arguments} == arguments
    assert train(run.recipe_file, out="again").metrics == run.metrics
