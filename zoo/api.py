"""Names to things, for Python: what ``zoo.list_...`` and ``zoo.create_...`` do."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from zoo.arguments import build
from zoo.recipes import build_model
from zoo.registry import registry

if TYPE_CHECKING:
    from lightning.pytorch import LightningDataModule, LightningModule


def list_models(pattern: str = "*") -> list[str]:
    """Names of the registered models that fit a pattern such as ``mp*``; families under theirs."""
    return [name for name in registry().models if fnmatchcase(name, pattern)]


def list_datasets(pattern: str = "*") -> list[str]:
    """Names of the registered datasets that fit a pattern."""
    return [name for name in registry().datasets if fnmatchcase(name, pattern)]


def list_recipes(pattern: str = "*") -> list[str]:
    """Names of the recipes that fit a pattern such as ``vision/*``."""
    return [name for name in registry().recipes if fnmatchcase(name, pattern)]


def list_checkpoints(pattern: str = "*") -> list[str]:
    """Names of the registered checkpoints that fit a pattern; ``zoo.load`` takes them."""
    return [name for name in registry().checkpoints if fnmatchcase(name, pattern)]


def create_model(name: str, **arguments: Any) -> LightningModule:
    """A fresh model, initialised at random.

    Args:
        name: A registered model, such as ``mpcnn`` or ``timm/resnet18``.
        arguments: Its constructor arguments.

    Raises:
        UsageError: there is no such model, or an argument is unknown, missing or wrong.
    """
    return build_model(registry().model(name), arguments, {})


def create_data(name: str, **arguments: Any) -> LightningDataModule:
    """A datamodule.

    Args:
        name: A registered dataset, such as ``mnist``.
        arguments: Its constructor arguments.

    Raises:
        UsageError: there is no such dataset, or an argument is unknown, missing or wrong.
    """
    return build(registry().load(registry().dataset(name)), arguments, f"dataset {name!r}", {})
