"""What recipes that are made for a GPU reach in the time that there is, against their targets."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from gpu.cases import HERE, require_data, run
from gpu.observers import StepClock
from gpu.record import CUDA, attempt, finish, seconds_left
from zoo.recipes.experiment import Experiment, resolve
from zoo.recipes.recipe import override, read_recipe
from zoo.runs.run import Run

MLP, MEMBRANES = "vision/mlp-mnist", "segmentation/pyramid-lstm-isbi2012-paper"
EPOCHS, BATCHES = 200, 390
"""Of ``MLP``, and batches in an epoch."""
TOYS = {
    MLP: {"model.hidden": [8], "data.train_per_class": 20, "trainer.max_epochs": 1},
    MEMBRANES: {
        "model.hidden": [2],
        "model.fully_connected": [],
        "model.kernel_size": 3,
        "data.curriculum": None,
        "data.patch_size": [4, 32, 32],
        "data.patches_per_volume": 1,
        "trainer.max_epochs": 1,
    },
}
RESERVE = 20
"""Seconds kept for tests and bundles."""


def main() -> None:
    """The net of digits, then that of membranes in the rest of the time."""
    attempt("reach", MLP, digits)
    attempt("reach", MEMBRANES, membranes)
    finish()


def digits() -> dict[str, Any]:
    """As many epochs as fit into half of the time, up to the recipe's; asked: an error of at most
    0.40 %."""
    require_data("mnist")
    epochs = EPOCHS
    if CUDA:
        clock = StepClock(10, 60)
        short = {"trainer.max_epochs": 1, "trainer.limit_train_batches": 60}
        trained(MLP, {**short, "trainer.limit_test_batches": 1}, [clock])
        fit = 0.4 * (seconds_left() - RESERVE) / (clock.seconds * BATCHES)
        epochs = int(max(1, min(EPOCHS, fit)))
    done = trained(MLP, {"trainer.max_epochs": epochs} if CUDA else {})
    return {"of_epochs": EPOCHS, "error": done["metrics"]["test/error"], **done}


def membranes() -> dict[str, Any]:
    """As much of the recipe's schedule as fits; the pixel error stands beside the small net's 0.078
    (benchmarks/results/segmentation.md)."""
    require_data("isbi2012")
    left = int(max(seconds_left() - 2 * RESERVE, 1))
    bound = {"trainer.max_time": f"00:00:{left // 60:02}:{left % 60:02}"}  # DD:HH:MM:SS
    done = trained(MEMBRANES, bound if CUDA else {})
    return {"of_epochs": 60, "pixel_error": done["metrics"]["test/pixel_error"], **done}


def trained(recipe: str, overrides: dict[str, Any], callbacks: Any = ()) -> dict[str, Any]:
    """Train and test a recipe.

    Returns:
        Its test metrics, ``epochs`` and ``fit_seconds``.
    """
    with tempfile.TemporaryDirectory() as folder:
        done: Run = run(experiment(recipe, overrides), Path(folder) / "run", callbacks)
        noted = done.environment
        kept = {k: round(v, 5) for k, v in done.metrics.items() if k.startswith("test/")}
        return {
            "metrics": kept,
            "epochs": noted["epochs"],
            "precision": noted["precision"],
            "fit_seconds": noted["fit_seconds"],
        }


def experiment(recipe: str, overrides: dict[str, Any]) -> Experiment:
    """The recipe, as a toy where there is no GPU."""
    toy = {} if CUDA else TOYS[recipe]
    return resolve(override(read_recipe(recipe), {**HERE, **toy, **overrides}))


if __name__ == "__main__":
    main()
