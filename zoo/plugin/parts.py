"""The parts of a dataset: training, validation, test."""

from __future__ import annotations

from typing import Literal

from lightning.pytorch import LightningDataModule

Part = Literal["train", "val", "test"]


def has_part(data: LightningDataModule, part: Part) -> bool:
    """Whether the datamodule has a loader of that part; an empty list, which Lightning allows,
    counts as none. The part is set up."""
    name = f"{part}_dataloader"
    if getattr(type(data), name, None) is getattr(LightningDataModule, name):
        return False
    data.setup("test" if part == "test" else "fit")
    loaders = getattr(data, name)()
    return not isinstance(loaders, list) or bool(loaders)
