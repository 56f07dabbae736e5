"""A plugin-based PyTorch Lightning model zoo.

    import zoo

    run = zoo.train("vision/mpcnn-digits", {"trainer.max_epochs": 2})
    model = zoo.load(run.path)  # a LightningModule, in evaluation mode

The public names are loaded on first use: ``import zoo`` imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.bundles.cost import model_cost as model_cost
    from zoo.bundles.ensemble import Ensemble as Ensemble
    from zoo.bundles.load import load as load
    from zoo.bundles.publish import publish as publish
    from zoo.errors import UsageError as UsageError
    from zoo.errors import ZooError as ZooError
    from zoo.experiments.crossval import crossval as crossval
    from zoo.experiments.processes import ExperimentInterrupted as ExperimentInterrupted
    from zoo.experiments.seeds import finetune_seeds as finetune_seeds
    from zoo.experiments.seeds import train_seeds as train_seeds
    from zoo.experiments.sweeps.sweep import sweep as sweep
    from zoo.experiments.tune import tune as tune
    from zoo.inference.evaluate import evaluate as evaluate
    from zoo.inference.export import export as export
    from zoo.inference.predict import predict as predict
    from zoo.recipes.create import create_data as create_data
    from zoo.recipes.create import create_model as create_model
    from zoo.registry.listing import list_checkpoints as list_checkpoints
    from zoo.registry.listing import list_datasets as list_datasets
    from zoo.registry.listing import list_models as list_models
    from zoo.registry.listing import list_recipes as list_recipes
    from zoo.runs.compare import compare as compare
    from zoo.runs.listing import list_runs as list_runs
    from zoo.runs.run import Run as Run
    from zoo.training.finetune import finetune as finetune
    from zoo.training.interruption import TrainingInterrupted as TrainingInterrupted
    from zoo.training.train import train as train

__version__ = "0.1.0"


_HOMES = {
    "Ensemble": "zoo.bundles.ensemble",
    "ExperimentInterrupted": "zoo.experiments.processes",
    "Run": "zoo.runs.run",
    "TrainingInterrupted": "zoo.training.interruption",
    "UsageError": "zoo.errors",
    "ZooError": "zoo.errors",
    "compare": "zoo.runs.compare",
    "create_data": "zoo.recipes.create",
    "create_model": "zoo.recipes.create",
    "crossval": "zoo.experiments.crossval",
    "evaluate": "zoo.inference.evaluate",
    "export": "zoo.inference.export",
    "finetune": "zoo.training.finetune",
    "finetune_seeds": "zoo.experiments.seeds",
    "list_checkpoints": "zoo.registry.listing",
    "list_datasets": "zoo.registry.listing",
    "list_models": "zoo.registry.listing",
    "list_recipes": "zoo.registry.listing",
    "list_runs": "zoo.runs.listing",
    "load": "zoo.bundles.load",
    "model_cost": "zoo.bundles.cost",
    "predict": "zoo.inference.predict",
    "publish": "zoo.bundles.publish",
    "sweep": "zoo.experiments.sweeps.sweep",
    "train": "zoo.training.train",
    "train_seeds": "zoo.experiments.seeds",
    "tune": "zoo.experiments.tune",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
