"""From images of lines of text to the frames that a recognizer sees: their columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from zoo.plugin import UsageError, at_least

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


@dataclass(frozen=True)
class Line:
    """An image of one line of text.

    Attributes:
        samples: float32 (height, W), from 0, paper, to 1, ink.
        notes: What was done to it: scaled, inverted.
        scale: Columns of the file that one of ``samples`` stands for.
    """

    samples: Tensor
    notes: tuple[str, ...] = ()
    scale: float = 1.0

    def draw(self, axes: Axes, end: float) -> None:
        """The image, its columns from 0 to ``end`` of the file's."""
        axes.imshow(self.samples, cmap="Greys", aspect="auto", vmin=0, vmax=1,
                    extent=(0, self.samples.shape[1] * self.scale, 1, 0))  # fmt: skip
        axes.set_xlim(0, end)


def read_line(path: Path, height: int) -> Line:
    """Read an image of a line of text.

    Light ink on dark paper is inverted: what most of the pixels are is the paper. The lightest and
    the darkest pixel become paper and ink.

    Args:
        path: The file.
        height: Rows to scale it to; its columns are scaled alike.

    Raises:
        UsageError: it is not a readable image, has several pages, or is all of one shade.
    """
    try:
        with Image.open(path) as image:
            if (pages := getattr(image, "n_frames", 1)) > 1:
                raise UsageError(f"{path} has {pages} pages: save each line as an image of its own")
            values = _gray(ImageOps.exif_transpose(image))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UsageError(f"{path} cannot be read as an image: {error}") from error
    low, high = float(values.min()), float(values.max())
    if low == high:
        raise UsageError(f"{path} is blank: all its pixels are the same; leave it out")
    light = (values - low) / (high - low)
    notes = []
    if float(np.median(light)) >= 0.5:
        ink = 1 - light
    else:
        ink = light
        notes.append("inverted, as its paper is dark")
    rows, columns = ink.shape
    samples = torch.from_numpy(np.ascontiguousarray(ink, dtype=np.float32))
    if rows != height:
        wide = max(1, round(columns * height / rows))
        samples = F.interpolate(
            samples[None, None], (height, wide), mode="bilinear", antialias=True
        )[0, 0].clamp(0, 1)
        notes.append(f"scaled from {rows} rows to {height}")
    return Line(samples, tuple(notes), columns / samples.shape[1])


def _gray(image: Image.Image) -> np.ndarray:
    """Rows of gray, the larger the lighter; what is transparent is white."""
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits and more, which "L" would cut
        return np.asarray(image, dtype=np.float64)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("L"), dtype=np.float64)


@dataclass(frozen=True)
class LineFrontEnd:
    """Columns of an image from left to right.

    Attributes:
        height: Rows.
        columns: Neighboring ones joined into a frame.

    Raises:
        UsageError: an attribute is out of its range.
    """

    height: int = 32
    columns: int = 2
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES
    unit: ClassVar[str] = "pixels from the left"

    def __post_init__(self) -> None:
        at_least("height", self.height, 8)
        at_least("columns", self.columns, 1)

    @property
    def features(self) -> int:
        """Numbers of a frame."""
        return self.height * self.columns

    @property
    def bands(self) -> int:
        """Rows, of which training may blank out some."""
        return self.height

    @property
    def described(self) -> dict[str, Any]:
        """As JSON values, from which ``LineFrontEnd(**described)`` makes it again."""
        return asdict(self)

    @property
    def input_described(self) -> str:
        """What a net of it takes."""
        return "columns of lines of text, ink 1 and paper 0, float32 (N, T, features)"

    def read(self, path: Path) -> Line:
        """An image of a line; see ``read_line``."""
        return read_line(path, self.height)

    def step_of(self, source: Line) -> float:
        """Columns of the file from a frame to the next."""
        return self.columns * source.scale

    def count(self, samples: Tensor) -> int:
        """Frames of an image (height, W)."""
        return max(1, samples.shape[1] // self.columns)

    def frames(self, samples: Tensor, warp: float = 1.0, tempo: float = 1.0) -> Tensor:
        """Frames of an image.

        Args:
            samples: float32 (height, W); paper is added where it is narrower than a frame.
            warp: Factor on the height of what is written, about the middle.
            tempo: Factor by which it becomes narrower.

        Returns:
            float32 (T, features): the rows of the first column, then those of the next.
        """
        if warp != 1 or tempo != 1:
            samples = self._stretched(samples, warp, tempo)
        if samples.shape[1] < self.columns:
            samples = F.pad(samples, (0, self.columns - samples.shape[1]))
        count = self.count(samples)
        return samples.T[: count * self.columns].reshape(count, self.features)

    def _stretched(self, samples: Tensor, warp: float, tempo: float) -> Tensor:
        size = (max(1, round(self.height * warp)), max(1, round(samples.shape[1] / tempo)))
        found = F.interpolate(samples[None, None], size, mode="bilinear", align_corners=False)[0, 0]
        above = (self.height - size[0]) // 2  # below 0 cuts
        return F.pad(found, (0, 0, above, self.height - size[0] - above))

    def write_examples(self, folder: Path, names: Sequence[str]) -> list[Path]:
        """Two images of lines in symbols of these names."""
        shown = [name for name in names[1:] if name.strip()] or ["x"]
        paths = [folder / "first.png", folder / "second.png"]
        for path, text in zip(paths, ("".join(shown[:4]), "".join(shown[-3:])), strict=True):
            canvas = Image.new("L", (20 + 20 * len(text), 30), 255)
            font = ImageFont.load_default(20)
            ImageDraw.Draw(canvas).text((6, 2), text, fill=0, font=font)
            canvas.save(path)
        return paths
