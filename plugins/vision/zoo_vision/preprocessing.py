"""Preprocessings of a committee's columns, by name: digit widths and contrast normalizations.

Source: Ciresan, Meier, Schmidhuber: Multi-column Deep Neural Networks for Image Classification,
CVPR 2012 (arXiv:1202.2745), sections 3.1 (MNIST) and 3.4 (GTSRB). All of them take and give
float (N, C, H, W) in [0, 1] on the batch's device.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.plugin import UsageError
from zoo_vision.color import lab_to_rgb, rgb_to_lab

Preprocessing = Callable[[Tensor], Tensor]
BINS = 256


def preprocessing(name: str) -> Preprocessing:
    """Find a preprocessing: ``none``, ``width10`` to ``width20``, ``imadjust``, ``histeq``,
    ``adapthisteq`` or ``conorm``.

    Raises:
        UsageError: there is none of this name.
    """
    width = re.fullmatch(r"width([1-9]\d*)", name)
    if width:
        return partial(normalize_width, width=int(width[1]))
    if name == "none":
        return unchanged
    if name in CONTRASTS:
        return partial(on_lightness, contrast=CONTRASTS[name])
    raise UsageError(
        f"unknown preprocessing {name!r}; there are none, width10 to width20 (any width), "
        f"{', '.join(CONTRASTS)}"
    )


def unchanged(images: Tensor) -> Tensor:
    return images


def normalize_width(images: Tensor, width: int, threshold: float = 0.1) -> Tensor:
    """Stretch every digit's bounding box to one width, keep its height, center it in the frame.

    Args:
        images: (N, C, H, W), bright strokes on a dark ground.
        width: Width of the box after it, pixels.
        threshold: A pixel belongs to the digit above this part of its image's maximum.

    An image without any such pixel stays as it is.
    """
    count, _, rows, columns = images.shape
    peak = images.amax(dim=(1, 2, 3), keepdim=True)
    ink = ((images > threshold * peak) & (peak > 0)).any(dim=1)
    left, right = _extent(ink.any(dim=1))
    top, bottom = _extent(ink.any(dim=2))
    empty = ~ink.flatten(1).any(dim=1)
    stretch = torch.where(empty, 1.0, (right - left) / width)
    x = _source(columns, (left + right) / 2, stretch)
    y = _source(rows, (top + bottom) / 2, torch.ones_like(stretch))
    grid = torch.stack(
        [
            (2 * x / columns - 1).view(count, 1, columns).expand(-1, rows, -1),
            (2 * y / rows - 1).view(count, rows, 1).expand(-1, -1, columns),
        ],
        dim=-1,
    )
    return F.grid_sample(images, grid.to(images.dtype), align_corners=False)


def _extent(ink: Tensor) -> tuple[Tensor, Tensor]:
    """Outer edges of the first and the last True of every row; the whole row where none is."""
    length = ink.shape[1]
    marks = ink.int()
    first = marks.argmax(dim=1).float()
    last = length - marks.flip(1).argmax(dim=1).float()
    return first, last


def _source(length: int, middle: Tensor, stretch: Tensor) -> Tensor:
    """Where every output pixel's center comes from: (N, length), pixel edges from 0."""
    centers = torch.arange(length, device=middle.device) + 0.5 - length / 2
    return middle[:, None] + centers * stretch[:, None]


def on_lightness(images: Tensor, contrast: Preprocessing) -> Tensor:
    """Apply a contrast normalization to the lightness of RGB images, or to gray values.

    Args:
        images: (N, 1 or 3, H, W).
        contrast: From and to (N, 1, H, W) in [0, 1].
    """
    if images.shape[1] == 1:
        return contrast(images)
    lab = rgb_to_lab(images)
    lightness = 100 * contrast(lab[:, :1] / 100)
    return lab_to_rgb(torch.cat([lightness, lab[:, 1:]], dim=1)).clamp(0, 1)


def imadjust(values: Tensor, saturated: float = 0.01) -> Tensor:
    """Stretch linearly so that 1 % of the pixels are black and 1 % are white."""
    flat = values.flatten(1)
    ordered = flat.sort(dim=1).values
    # The percentiles lie between two pixels: interpolate, as numpy.percentile does.
    place = saturated * (flat.shape[1] - 1)
    low = _between(ordered, place)
    high = _between(ordered, flat.shape[1] - 1 - place)
    stretched = (flat - low) / (high - low).clamp(min=1e-6)
    # An image of one value has nothing to stretch.
    return torch.where(high > low, stretched, flat).clamp(0, 1).view_as(values)


def _between(ordered: Tensor, place: float) -> Tensor:
    below = int(place)
    above = min(below + 1, ordered.shape[1] - 1)
    return torch.lerp(ordered[:, below], ordered[:, above], place - below)[:, None]


def histeq(values: Tensor) -> Tensor:
    """Equalize the histogram: every value becomes its image's cumulative share of pixels."""
    flat = values.flatten(1)
    low, high = flat.amin(dim=1, keepdim=True), flat.amax(dim=1, keepdim=True)
    scaled = (flat - low) / (high - low).clamp(min=1e-6)
    counts = torch.zeros(len(flat), BINS, device=flat.device, dtype=flat.dtype)
    bins = (scaled * BINS).long().clamp(max=BINS - 1)
    counts.scatter_add_(1, bins, torch.ones_like(flat))
    shares = counts.cumsum(dim=1) / flat.shape[1]
    equalized = _interpolate(shares, scaled)
    return torch.where(high > low, equalized, flat).view_as(values)


def _interpolate(shares: Tensor, values: Tensor) -> Tensor:
    """Look (..., M) values in [0, 1] up in (..., BINS), linearly between the bins' centers."""
    place = (values * BINS - 0.5).clamp(0, BINS - 1)
    below = place.long()
    above = (below + 1).clamp(max=BINS - 1)
    return torch.lerp(shares.gather(-1, below), shares.gather(-1, above), place - below)


def adapthisteq(values: Tensor, tile: int = 6, clip: float = 0.01) -> Tensor:
    """Contrast-limited adaptive histogram equalization (Zuiderveld 1994).

    Every tile's histogram is cut at a limit, what was cut is spread over all bins, and a pixel's
    value is looked up in its four nearest tiles, bilinearly.

    Args:
        values: (N, 1, H, W) in [0, 1]; mirrored up to a multiple of the tile.
        tile: Side of a tile, pixels; 48x48 images have 8x8 tiles.
        clip: Limit of a bin: this part of the way from a flat histogram's count (rounded up)
            to all pixels of the tile.
    """
    count, _, height, width = values.shape
    tiles_y, tiles_x = -(-height // tile), -(-width // tile)
    padding = (0, tiles_x * tile - width, 0, tiles_y * tile - height)
    reflects = padding[1] < width and padding[3] < height
    padded = F.pad(values, padding, mode="reflect" if reflects else "replicate")
    pixels = tile * tile
    cells = padded.view(count, tiles_y, tile, tiles_x, tile).transpose(2, 3)
    bins = (cells.reshape(count, tiles_y, tiles_x, pixels) * BINS).long().clamp(0, BINS - 1)
    counts = torch.zeros(count, tiles_y, tiles_x, BINS, device=values.device, dtype=values.dtype)
    counts.scatter_add_(3, bins, torch.ones((), device=values.device).expand(bins.shape).to(counts))
    flat_count = -(-pixels // BINS)
    limit = flat_count + round(clip * (pixels - flat_count))
    kept = counts.clamp(max=limit)
    kept += (pixels - kept.sum(dim=3, keepdim=True)) / BINS
    shares = kept.cumsum(dim=3) / pixels

    above, below, share_y = _neighbors(height, tile, tiles_y, values.device)
    left, right, share_x = _neighbors(width, tile, tiles_x, values.device)
    level = (values[:, 0] * BINS).long().clamp(0, BINS - 1)
    image = torch.arange(count, device=values.device).view(-1, 1, 1)

    def look_up(rows: Tensor, columns: Tensor) -> Tensor:
        return shares[image, rows[:, None], columns[None, :], level]

    upper = torch.lerp(look_up(above, left), look_up(above, right), share_x)
    lower = torch.lerp(look_up(below, left), look_up(below, right), share_x)
    return torch.lerp(upper, lower, share_y[:, None]).unsqueeze(1)


def _neighbors(
    length: int, tile: int, tiles: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Of every pixel: the tiles whose centers lie before and after it, and how far between."""
    place = (torch.arange(length, device=device) + 0.5) / tile - 0.5
    before = place.floor()
    after = (before + 1).clamp(0, tiles - 1).long()
    return before.clamp(0, tiles - 1).long(), after, place - before


def conorm(values: Tensor) -> Tensor:
    """Enhance edges by a 5x5 difference of Gaussians, stretched to the whole range.

    The paper gives the filter's size alone; the standard deviations are 1 and 2 pixels, each
    Gaussian sums to 1, and a response of 0 becomes the middle of the range.
    """
    offsets = torch.arange(-2.0, 3.0, device=values.device, dtype=values.dtype)
    narrow, wide = (torch.exp(-0.5 * (offsets / sigma) ** 2) for sigma in (1.0, 2.0))
    narrow, wide = narrow / narrow.sum(), wide / wide.sum()
    kernel = torch.outer(narrow, narrow) - torch.outer(wide, wide)
    response = F.conv2d(F.pad(values, (2, 2, 2, 2), mode="replicate"), kernel[None, None])
    peak = response.abs().amax(dim=(1, 2, 3), keepdim=True)
    return 0.5 + 0.5 * response / peak.clamp(min=1e-6)


CONTRASTS: dict[str, Preprocessing] = {
    "imadjust": imadjust,
    "histeq": histeq,
    "adapthisteq": adapthisteq,
    "conorm": conorm,
}
