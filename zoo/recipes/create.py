"""``zoo.create_model`` and ``zoo.create_data``: from a name and arguments to an object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.recipes.experiment import build_model
from zoo.recipes.signatures import build
from zoo.registry.registry import registry

if TYPE_CHECKING:
    from lightning.pytorch import LightningDataModule, LightningModule


def create_model(name: str, **arguments: Any) -> LightningModule:
    """A fresh model, initialized at random.

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
    cls = registry().load(registry().dataset(name))
    data: LightningDataModule = build(cls, arguments, f"dataset {name!r}", {})
    return data
