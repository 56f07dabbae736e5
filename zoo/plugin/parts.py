"""The parts of a dataset: training, validation, test."""

from __future__ import annotations

from typing import Literal

from lightning.pytorch import LightningDataModule, LightningModule

from zoo.errors import UsageError

Part = Literal["train", "val", "test"]


class EmptyPartError(UsageError):
    """A part of the data that was asked for has no samples."""


def has_part(data: LightningDataModule, part: Part) -> bool:
    """Whether the datamodule has samples of that part. The part is set up.

    It has none where its class does not override the loader's method, where that returns an
    empty list, as Lightning allows, or None, and where it raises ``EmptyPartError``.
    """
    name = f"{part}_dataloader"
    if getattr(type(data), name, None) is getattr(LightningDataModule, name):
        return False
    data.setup("test" if part == "test" else "fit")
    try:
        loaders = getattr(data, name)()
    except EmptyPartError:
        return False
    return loaders is not None and not (isinstance(loaders, list) and not loaders)


def why_untested(model: LightningModule, data: LightningDataModule) -> str:
    """Why a model cannot be tested on some data; empty if it can."""
    if type(model).test_step is LightningModule.test_step:
        return "the model has no test_step"
    return "" if has_part(data, "test") else "the data have no test part"
