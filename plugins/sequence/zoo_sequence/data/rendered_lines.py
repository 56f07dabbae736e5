"""Lines of digits, rendered: a recognizer of images to be trained without any data."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from zoo.plugin import Part, UsageError, at_least
from zoo_sequence.data.recordings import RecordingData, Utterance, generator
from zoo_sequence.lines import Line, LineFrontEnd

_HELD: dict[Part, int] = {"val": 200, "test": 500}
_CANVAS = 48
"""Pixels of the square in which a glyph is drawn."""


class RenderedLines(RecordingData):
    """Lines of one to ``longest`` symbols in Pillow's own font, each symbol of another size, slant,
    height and distance, in gray and with noise: made up, which says nothing of handwriting.

    Args:
        batch_size: Lines of a training step.
        num_workers: Processes that render.
        seed: Of the training lines; validation and test are always the same.
        split: ``standard``, or ``all``.
        symbols: What is written, one character each.
        longest: The most symbols of a line.
        epoch: Training lines of an epoch.
        height: Rows of a line.
        columns: Neighboring columns joined into a frame.
        noise: Deviation of the noise on a pixel.

    Raises:
        UsageError: an argument is out of its range, or a symbol comes twice or is a space.
    """

    sample_name = "line"
    conformance_arguments: ClassVar[dict[str, Any]] = {"symbols": "01", "longest": 2, "epoch": 64}

    def __init__(
        self,
        batch_size: int = 16,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        symbols: str = "0123456789",
        longest: int = 6,
        epoch: int = 1200,
        height: int = 32,
        columns: int = 2,
        noise: float = 0.1,
    ) -> None:
        front_end = LineFrontEnd(height, columns)
        super().__init__("the lines", batch_size, num_workers, seed, split, front_end)
        if not symbols or len(set(symbols)) < len(symbols) or any(map(str.isspace, symbols)):
            raise UsageError(f"symbols are {symbols!r}: they have to differ, and none is a space")
        at_least("longest", longest, 1)
        at_least("epoch", epoch, 1)
        at_least("noise", noise, 0)
        self.symbols, self.longest, self.epoch = symbols, longest, epoch
        self.height, self.noise = height, noise

    @property
    def label_names(self) -> list[str]:
        """The blank and the symbols."""
        return ["-" if "-" not in self.symbols else "", *self.symbols]

    def utterances(self, part: Part) -> list[Utterance]:
        """The first lines of the training, or all of another part."""
        return [self.draw(part, number) for number in range(min(64, self.length(part)))]

    def length(self, part: Part) -> int:
        return self.epoch if part == "train" else _HELD[part]

    def draw(self, part: Part, number: int) -> Utterance:
        """The line of that number."""
        random = generator(self.seed if part == "train" else "fixed", "lines", part, number)
        count = 1 + int(torch.randint(self.longest, (), generator=random))
        chosen = torch.randint(len(self.symbols), (count,), generator=random).tolist()
        text = "".join(self.symbols[index] for index in chosen)
        line = Line(rendered(text, self.height, self.noise, random))
        return Utterance(text, line, tuple(index + 1 for index in chosen))

    def _all(self) -> Iterable[Utterance]:
        return ()  # nothing is done to them that would have to be said


def rendered(text: str, height: int, noise: float, random: torch.Generator) -> Tensor:
    """A line of text, float32 (height, W), from 0, paper, to 1, ink."""

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=random))

    pieces = [torch.zeros(height, int(uniform(2, 10)))]
    for symbol in text:
        piece = _glyph(symbol, int(uniform(22, 31)), round(uniform(-12, 12)), height)
        piece = piece.roll(round(uniform(-0.08, 0.08) * height), 0)
        pieces += [piece * uniform(0.6, 1.0), torch.zeros(height, int(uniform(0, 6)))]
    line = torch.cat([*pieces, torch.zeros(height, int(uniform(2, 10)))], 1)
    return (line + noise * torch.randn(line.shape, generator=random)).clamp(0, 1)


@cache
def _glyph(symbol: str, size: int, degrees: int, height: int) -> Tensor:
    """A symbol, turned, in the columns that it takes: (height, W)."""
    image = Image.new("L", (_CANVAS, _CANVAS), 0)
    font = ImageFont.load_default(size)
    ImageDraw.Draw(image).text((_CANVAS / 2, _CANVAS / 2), symbol, fill=255, font=font, anchor="mm")
    image = image.rotate(degrees, Image.Resampling.BILINEAR)
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    pixels = pixels.reshape(_CANVAS, _CANVAS).float() / 255
    inked = (pixels.amax(0) > 0).nonzero()[:, 0]
    if not len(inked):
        raise UsageError(f"Pillow's own font has no {symbol!r}; leave it out of --data.symbols")
    pixels = pixels[:, int(inked[0]) : int(inked[-1]) + 1]
    columns = max(1, round(pixels.shape[1] * height / _CANVAS))
    return F.interpolate(pixels[None, None], (height, columns), mode="area")[0, 0]
