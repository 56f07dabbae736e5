"""A folder of images and of masks of the same names."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zoo.plugin import BaseDataModule, Part, ResumableLoader, UsageError

TENTHS = {"train": (1, 2, 3, 4, 6, 7, 8), "val": (9,), "test": (0, 5)}


def load(path: Path, size: int, mode: str) -> Tensor:
    """Channels in [0, 1], (1 or 3, size, size)."""
    resampling = Image.Resampling.NEAREST if mode == "L" else Image.Resampling.BILINEAR
    try:
        pixels = np.array(Image.open(path).convert(mode).resize((size, size), resampling))
    except OSError as error:
        raise UsageError(f"{path} is not an image: {error}") from error
    return torch.from_numpy(pixels).reshape(size, size, -1).permute(2, 0, 1) / 255


class Masks(BaseDataModule[list[Path]]):
    """``images/NAME.png`` and ``masks/NAME.png``: what is not 0 in a mask is object.

    Args:
        size: Pixels of a side, which images are resized to.
    """

    def __init__(self, size: int = 64, **options: Any) -> None:
        super().__init__(**options)
        self.size = size

    @property
    def facts(self) -> dict[str, Any]:
        """The size; refuses a folder in which something is missing."""
        names = [{p.name for p in Path(self.root, d).glob("*.png")} for d in ("images", "masks")]
        if len(names[0]) < 10 or names[0] != names[1]:
            raise UsageError(
                f"{self.root} has to hold 10 or more images/NAME.png, each with masks/NAME.png; "
                f"there are {len(names[0])} and {len(names[1])}: give --data.root"
            )
        return {"size": self.size}

    def samples(self, part: Part) -> list[Path]:
        tenths = TENTHS[part] if self.split == "standard" else range(10 * (part == "test"))
        images = sorted(Path(self.root, "images").glob("*.png"))
        return [path for index, path in enumerate(images) if index % 10 in tenths]

    def loader(self, *args: Any, **options: Any) -> ResumableLoader:
        return super().loader(*args, collate_fn=self.read, **options)

    def read(self, paths: list[Path]) -> tuple[Tensor, Tensor]:
        """Images (N, 3, size, size) in [0, 1], and masks (N, 1, size, size) of 0 and 1."""
        masks = [load(p.parents[1] / "masks" / p.name, self.size, "L") > 0 for p in paths]
        images = [load(path, self.size, "RGB") for path in paths]
        return torch.stack(images), torch.stack(masks).float()
