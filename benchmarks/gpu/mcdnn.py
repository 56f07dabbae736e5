"""The 35 columns of ``vision/mcdnn-mnist``: a step by both executions, then a run as long as the
part's time allows."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from gpu.cases import HERE, require_data, run
from gpu.observers import StepClock
from gpu.record import CUDA, attempt, finish, seconds_left
from zoo.recipes.experiment import Experiment, resolve
from zoo.recipes.recipe import override, read_recipe

RECIPE = "vision/mcdnn-mnist"
EPOCHS, BATCHES = 60, 468
"""Of the recipe, and full batches of 128 in an epoch."""
TOY = {"data.train_per_class": 128, "model.columns_per_preprocessing": 1, "data.batch_size": 32}
WARM, TIMED = (10, 60) if CUDA else (2, 6)
"""Steps that are not timed, and where the timed ones end."""


def main() -> None:
    """Executions and precisions, then the run with the fastest."""
    steps: dict[tuple[str, str], float] = {}
    for execution in ("stacked", "one-after-the-other"):
        for precision in ("32-true", "bf16-mixed"):
            chosen = execution, precision
            attempt("mcdnn", f"step, {', '.join(chosen)}", lambda c=chosen: step(c, steps))
    if steps:
        fastest = min(steps, key=lambda chosen: steps[chosen])
        attempt("mcdnn", "run", lambda: whole(fastest, steps[fastest]))
    finish()


def step(chosen: tuple[str, str], steps: dict[tuple[str, str], float]) -> dict[str, Any]:
    """Time a step of all columns; its seconds are put into ``steps``."""
    clock = StepClock(WARM, TIMED)
    short = {"trainer.max_epochs": 1, "trainer.limit_test_batches": 2}
    with tempfile.TemporaryDirectory() as folder:
        found = committee(chosen, {**short, "trainer.limit_train_batches": TIMED})
        run(found, Path(folder) / "run", [clock])
    steps[chosen] = clock.seconds
    return {"ms": round(1e3 * clock.seconds, 2)}


def whole(chosen: tuple[str, str], seconds: float) -> dict[str, Any]:
    """As many epochs as fit, up to the recipe's, on all training images, then the test.

    Args:
        chosen: Execution and precision.
        seconds: Of a step.
    """
    fit = 0.8 * (seconds_left() - 15) / (seconds * BATCHES) if CUDA else 1
    epochs = int(max(1, min(EPOCHS, fit)))
    with tempfile.TemporaryDirectory() as folder:
        done = run(committee(chosen, {"trainer.max_epochs": epochs}), Path(folder) / "run")
        metrics, fit_seconds = done.metrics, done.environment["fit_seconds"]
    columns = [value for key, value in metrics.items() if key.startswith("test/error/column")]
    return {
        "epochs": epochs,
        "of_epochs": EPOCHS,
        "execution": chosen[0],
        "precision": chosen[1],
        "error": metrics["test/error"],
        "error_of_columns": round(sum(columns) / len(columns), 5),
        "columns": len(columns),
        "fit_seconds": fit_seconds,
    }


def committee(chosen: tuple[str, str], overrides: dict[str, Any]) -> Experiment:
    """The recipe with an execution and a precision."""
    require_data("mnist")
    own = {"model.execution": chosen[0], "trainer.precision": chosen[1]}
    toy = {} if CUDA else TOY
    return resolve(override(read_recipe(RECIPE), {**HERE, **toy, **own, **overrides}))


if __name__ == "__main__":
    main()
