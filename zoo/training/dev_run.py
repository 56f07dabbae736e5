"""``trainer.fast_dev_run``: a few batches of everything, to see whether it runs at all."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lightning.pytorch import LightningDataModule, LightningModule

from zoo.errors import UsageError
from zoo.io.rank_zero import rank_zero_print
from zoo.plugin.parts import has_part, why_untested
from zoo.recipes.recipe import Recipe
from zoo.runs.run import Run
from zoo.training.counting import refuse_uncounted
from zoo.training.trainer import dev_trainer


def dev_run(
    recipe: Recipe, model: LightningModule, data: LightningDataModule, resumed: bool
) -> Run:
    """Train, validate and test with a few batches each, and keep nothing.

    Args:
        recipe: Its ``trainer.fast_dev_run`` says how many; true means one.
        model: The module.
        data: The datamodule, set up for fitting.
        resumed: Whether a run was to be continued.

    Returns:
        A run whose folder is gone.

    Raises:
        UsageError: a run was to be continued, Lightning refuses the settings, or the budget is of
            what is not counted.
    """
    if resumed:
        raise UsageError(
            "'trainer.fast_dev_run' keeps nothing and continues nothing: omit it, or --resume"
        )
    refuse_uncounted(recipe.budget, {}, (), model, data)
    parts = ["training", *(["val"] if has_part(data, "val") else [])]
    parts += [] if why_untested(model, data) else ["test"]
    with tempfile.TemporaryDirectory() as folder:
        trainer = dev_trainer(recipe, model, data, Path(folder))
        trainer.fit(model, datamodule=data)
        if "test" in parts:
            trainer.test(model, datamodule=data, verbose=False)
        names = ", ".join(each.replace("val", "validation") for each in parts)
        count = f"{trainer.max_steps} batch{'es' if trainer.max_steps > 1 else ''} each"
        rank_zero_print(f"fast_dev_run: {names} ran, {count}; nothing was kept")
        return Run(Path(folder))
