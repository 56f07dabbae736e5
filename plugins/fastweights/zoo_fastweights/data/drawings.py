"""Drawings as the models want them: square, small, strokes bright on a dark ground."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Literal

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from zoo.plugin import UsageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
Ink = Literal["dark", "bright"]


def read_drawing(source: Path | IO[bytes], size: int, ink: Ink, where: str) -> Tensor:
    """A drawing as uint8 (size, size), strokes bright.

    Other shapes than squares are padded with the ground; a transparent ground is white.

    Args:
        source: A file of any format that Pillow reads.
        size: Pixels a side.
        ink: Whether the strokes are ``dark`` on a bright ground or ``bright`` on a dark one.
        where: What to call it in a message.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with Image.open(source) as image:
            gray = _on_white(image).convert("L")
    except (OSError, UnidentifiedImageError) as error:
        raise UsageError(f"{where} cannot be read as an image: {error}") from error
    longest = max(gray.size)
    square = Image.new("L", (longest, longest), 255 if ink == "dark" else 0)
    square.paste(gray, ((longest - gray.width) // 2, (longest - gray.height) // 2))
    pixels = np.asarray(square.resize((size, size), Image.Resampling.BOX), dtype=np.uint8)
    return torch.from_numpy(255 - pixels if ink == "dark" else pixels.copy())


def _on_white(image: Image.Image) -> Image.Image:
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA"))
