"""A plugin-based PyTorch Lightning model zoo.

The public names below are loaded on first use: ``import zoo`` imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "list_models": "zoo.api",
    "list_datasets": "zoo.api",
    "list_recipes": "zoo.api",
    "list_checkpoints": "zoo.api",
    "create_model": "zoo.api",
    "create_data": "zoo.api",
    "load": "zoo.bundles",
    "train": "zoo.training",
    "finetune": "zoo.finetuning",
    "predict": "zoo.prediction",
    "export": "zoo.exporting",
    "evaluate": "zoo.evaluation",
    "Run": "zoo.runs",
    "ZooError": "zoo.errors",
    "UsageError": "zoo.errors",
}
__all__ = ["__version__", *_HOMES]

if TYPE_CHECKING:
    from zoo.api import create_data as create_data
    from zoo.api import create_model as create_model
    from zoo.api import list_checkpoints as list_checkpoints
    from zoo.api import list_datasets as list_datasets
    from zoo.api import list_models as list_models
    from zoo.api import list_recipes as list_recipes
    from zoo.bundles import load as load
    from zoo.errors import UsageError as UsageError
    from zoo.errors import ZooError as ZooError
    from zoo.evaluation import evaluate as evaluate
    from zoo.exporting import export as export
    from zoo.finetuning import finetune as finetune
    from zoo.prediction import predict as predict
    from zoo.runs import Run as Run
    from zoo.training import train as train


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
