"""Which stored value is black and which is white, of images with more than 8 bits.

A 16-bit file may hold 8, 12 or 16 bits of brightness, a file of floating-point numbers anything:
the file does not say. So one range is decided for a whole folder, by its largest value, or stated
by the user; it is kept with the model, and prediction uses it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from zoo_vision.data.opening import DEEP_COLOR, raw_mode

Ranges = Mapping[str, Sequence[float]]
"""Kind of stored value (``uint16``, ``int16``, ``int32``, ``float32``) to its black and its white.
Under `STATED`: the user's, for all kinds."""

STATED = "stated"
COLORS = {"RGB": 3, "RGBA": 3, "LA": 1}
"""Modes with several channels, to how many of them are not transparency."""
_FULL = {"uint16": (255, 4095, 65535), "int16": (255, 4095, 32767), "int32": (255, 4095, 65535)}
_DARK = 16
"""Below this part of the range a picture is nearly black."""


class RangeSource(Protocol):
    """Anything that knows the range of a kind; a mapping, for instance."""

    def get(self, kind: str, /) -> Sequence[float] | None: ...


def stored_kind(image: Image.Image) -> str | None:
    """The kind of the stored values; None for 8 bits and fewer, whose range is known."""
    raw = raw_mode(image)
    if image.mode.startswith("I;16") or is_deep_color(image):
        return "uint16"
    if image.mode == "I":
        return "int16" if ";16" in raw else "int32"
    return "float32" if image.mode == "F" else None


def is_deep_color(image: Image.Image) -> bool:
    """Whether it has color or transparency with 16 bits a channel, of which Pillow keeps the upper
    8."""
    return image.mode in COLORS and bool(DEEP_COLOR.match(raw_mode(image)))


def white_is_zero(image: Image.Image) -> bool:
    """Whether large values are dark, in a file whose values Pillow hands out as they are."""
    tags = getattr(image, "tag_v2", None) or {}
    return tags.get(262) == 0 and (image.mode.startswith("I") or image.mode == "F")


@dataclass(frozen=True)
class Extent:
    """The smallest and the largest stored value of one image.

    Args:
        kind: As `stored_kind` says.
        low: The smallest.
        high: The largest.
    """

    kind: str
    low: float
    high: float

    @classmethod
    def of(cls, kind: str, values: np.ndarray) -> Extent:
        """Measure values.

        Raises:
            ValueError: some are not numbers.
        """
        low, high = float(values.min()), float(values.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError("some of its pixels are NaN or infinite, in no known range")
        return cls(kind, low, high)

    def range_in(self, ranges: RangeSource | None) -> tuple[float, float]:
        """Black and white of this image.

        Args:
            ranges: What was decided for the data; without, the image decides by itself.

        Raises:
            ValueError: the image's values lie outside.
        """
        stated = ranges.get(STATED) if ranges is not None else None
        if stated is not None:
            return stated[0], stated[1]
        known = ranges.get(self.kind) if ranges is not None else None
        if known is None:
            return assumed_range(self)
        if self.low < known[0] or self.high > known[1]:
            raise ValueError(
                f"its values go from {self.low:g} to {self.high:g}, where {known[0]:g} is black "
                f"and {known[1]:g} white; bring it to that range"
            )
        return known[0], known[1]

    def is_dark_in(self, limits: Sequence[float]) -> bool:
        """Whether the image comes out nearly black."""
        return self.high < limits[0] + (limits[1] - limits[0]) / _DARK


def assumed_range(extent: Extent) -> tuple[float, float]:
    """The range that is assumed for values of this extent.

    Integers: the smallest of 8, 12 and 16 bits that holds them. Floating-point numbers: 0 to 1 or
    0 to 255.

    Raises:
        ValueError: they are in neither.
    """
    low, high = extent.low, extent.high
    if low >= 0 and extent.kind == "float32":
        if high <= 1:
            return 0.0, 1.0
        if 2 < high <= 255:
            return 0.0, 255.0
    elif low >= 0:
        for full in _FULL[extent.kind]:
            if high <= full:
                return 0.0, float(full)
    raise ValueError(
        f"pixels from {low:g} to {high:g} are in no known range: which value is black and which "
        "is white has to be stated"
    )


def eight_bits(
    values: np.ndarray, limits: tuple[float, float], *, inverted: bool = False
) -> np.ndarray:
    """Black to 0, white to 255; what lies beyond is black or white.

    Args:
        values: float64 (height, width, ...).
        limits: Black and white.
        inverted: The other way round.
    """
    black, white = limits
    scaled = np.round((values - black) * (255 / (white - black))).clip(0, 255).astype(np.uint8)
    return 255 - scaled if inverted else scaled


def merged(extents: Iterable[Extent]) -> dict[str, Extent]:
    """For each kind, the extent of all."""
    whole: dict[str, Extent] = {}
    for extent in extents:
        before = whole.get(extent.kind, extent)
        whole[extent.kind] = Extent(
            extent.kind, min(before.low, extent.low), max(before.high, extent.high)
        )
    return whole


def sentence(kind: str, extents: Sequence[Extent], limits: Sequence[float]) -> str:
    """What is told of the images of one kind.

    Args:
        kind: As `stored_kind` says.
        extents: Of the images of that kind.
        limits: The range that was decided.
    """
    whole = merged(extents)[kind]
    count = f"{len(extents)} image{'s' if len(extents) > 1 else ''} of {kind} values"
    text = (
        f"{count}, from {whole.low:g} to {whole.high:g}: {limits[0]:g} is taken for black and "
        f"{limits[1]:g} for white"
    )
    dark = sum(extent.is_dark_in(limits) for extent in extents)
    if dark and dark < len(extents):
        text += (
            f"; {dark} of them have no value above {limits[0] + (limits[1] - limits[0]) / _DARK:g} "
            "and come out nearly black: are they stored with fewer bits?"
        )
    return text
