"""A volume's slices under label maps, as one picture.

It is put together pixel by pixel: matplotlib takes longer for a panel than a small net for a
volume, and a folder of volumes is a picture each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

from zoo.plugin import plots

PLANES = ("axial", "coronal", "sagittal")
SIDES = (("I", "S"), ("P", "A"), ("L", "R"))
"""Where the axes D, H and W begin and end."""
# Of Okabe and Ito, told apart with any color vision; repeated beyond six classes.
COLORS: tuple[tuple[int, int, int], ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (204, 121, 167),
    (213, 94, 0),
    (240, 228, 66),
)
ALPHA = 0.55
WIDTH, LOWEST, HIGHEST = 240, 80, 400
"""Pixels of a panel: all are as wide, and as high as the proportions say, within bounds."""
GAP, LINE, MARGIN = 10, 18, 24


@dataclass(frozen=True)
class Row:
    """What is shown of one plane.

    Attributes:
        axis: The one that is cut across.
        place: The slice along it.
        height: Pixels.
        gray: The slice, uint8.
        maps: Title to the slice of a map of classes, uint8.
    """

    axis: int
    place: int
    height: int
    gray: np.ndarray
    maps: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Cuts:
    """The slices of a volume that are shown, which is all that is kept of it.

    Attributes:
        rows: One a plane.
        solid: Whether it is a volume, of three planes, not a single slice.
    """

    rows: tuple[Row, ...]
    solid: bool

    @property
    def bytes(self) -> int:
        """Memory that the slices take."""
        return sum(r.gray.nbytes + sum(m.nbytes for m in r.maps.values()) for r in self.rows)


def cut_slices(
    image: np.ndarray, labels: Mapping[str, np.ndarray], spacing: Sequence[float] = (1.0, 1.0, 1.0)
) -> Cuts:
    """Three orthogonal slices, where the first map has most foreground.

    Args:
        image: (D, H, W) gray values of any range; axes from inferior to superior, posterior to
            anterior, left to right. An image (H, W) makes one slice.
        labels: Title (``label``, ``prediction``) to a map of classes of the image's shape.
        spacing: Voxel edges along the image's axes.
    """
    if image.ndim == 2:
        image = image[None]
        labels = {title: label[None] for title, label in labels.items()}
        spacing = (1.0, *spacing)
    solid = image.shape[0] > 1
    places = _fullest(next(iter(labels.values())) if labels else image)
    low, high = np.percentile(image, (0.5, 99.5))
    rows = []
    for axis in (0, 1, 2) if solid else (0,):
        across, along = (other for other in range(3) if other != axis)
        tall, wide = (spacing[each] * image.shape[each] for each in (across, along))
        height = int(min(HIGHEST, max(LOWEST, round(WIDTH * tall / wide))))
        cut = image.take(places[axis], axis)
        gray = ((cut - low) * (255 / max(high - low, 1e-12))).clip(0, 255).astype(np.uint8)
        maps = {t: label.take(places[axis], axis).astype(np.uint8) for t, label in labels.items()}
        rows.append(Row(axis, places[axis], height, gray, maps))
    return Cuts(tuple(rows), solid)


def orthogonal_slices(
    image: np.ndarray,
    labels: Mapping[str, np.ndarray],
    names: Sequence[str],
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    heading: str = "",
    sides: bool = False,
) -> plots.Sheet:
    """Three orthogonal slices, one a row: the image by itself and under each label map.

    Args:
        image: As of ``cut_slices``.
        labels: As there.
        names: As of ``draw_slices``.
        spacing: As of ``cut_slices``.
        heading: As of ``draw_slices``.
        sides: As there.
    """
    return draw_slices(cut_slices(image, labels, spacing), names, heading, sides)


def draw_slices(
    cuts: Cuts, names: Sequence[str], heading: str = "", sides: bool = False
) -> plots.Sheet:
    """Slices, one a row, the superior or anterior side up and with the volume's proportions.

    Args:
        cuts: What to show.
        names: The classes' names, 0 first.
        heading: A line above.
        sides: Letter the sides (L and R, P and A, I and S): the axes are known to lie so.
    """
    columns = ["image", *cuts.rows[0].maps]
    top = LINE * (1 + bool(heading)) + GAP // 2
    left = MARGIN if cuts.solid else GAP
    size = (
        left + len(columns) * (WIDTH + GAP),
        top + sum(row.height + GAP for row in cuts.rows) + LINE * _legend_rows(names),
    )
    page = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(page)
    texts = list(columns)
    if heading:
        heading = heading.replace(r"\$", "$")  # as matplotlib wants it
        pen.text((size[0] / 2, 2), heading, "black", _font(), anchor="ma")
        texts.append(heading)
    for column, title in enumerate(columns):
        middle = left + column * (WIDTH + GAP) + WIDTH / 2
        pen.text((middle, top - LINE), title, "black", _font(), anchor="ma")
    for row in cuts.rows:
        for column, classes in enumerate((None, *row.maps.values())):
            corner = left + column * (WIDTH + GAP), top
            page.paste(_panel(row.gray, classes, (WIDTH, row.height), cuts.solid), corner)
            if sides and cuts.solid:
                _letter(pen, row, corner)
        if cuts.solid:
            texts.append(f"{PLANES[row.axis]}, slice {row.place}")
            page.paste(_upright(texts[-1], row.height), (2, top))
        top += row.height + GAP
    _legend(pen, names, (left, top))
    return plots.Sheet(page, [*texts, *names[1:]])


def class_color(number: int) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of a class from 1."""
    return COLORS[(number - 1) % len(COLORS)]


def _panel(
    gray: np.ndarray, classes: np.ndarray | None, size: tuple[int, int], flip: bool
) -> Image.Image:
    """A slice, the label map over it; with ``flip`` its first line is below."""
    if flip:
        gray = gray[::-1]
    picture = Image.fromarray(np.ascontiguousarray(gray)).resize(size, Image.Resampling.BILINEAR)
    if classes is None:
        return picture.convert("RGB")
    classes = np.ascontiguousarray((classes[::-1] if flip else classes).astype(np.uint8))
    large = np.asarray(Image.fromarray(classes).resize(size, Image.Resampling.NEAREST))
    colors = np.zeros((256, 3))
    colors[1:] = [class_color(number) for number in range(1, 256)]
    weight = ALPHA * (large > 0)[..., None]
    shown = np.asarray(picture)[..., None] * (1 - weight) + colors[large] * weight
    return Image.fromarray(shown.round().astype(np.uint8))


def _letter(pen: ImageDraw.ImageDraw, row: Row, corner: tuple[int, int]) -> None:
    across, along = (other for other in range(3) if other != row.axis)
    x, y = corner
    for text, place, anchor in (
        (SIDES[across][1], (x + WIDTH / 2, y + 2), "ma"),
        (SIDES[across][0], (x + WIDTH / 2, y + row.height - 2), "md"),
        (SIDES[along][0], (x + 3, y + row.height / 2), "lm"),
        (SIDES[along][1], (x + WIDTH - 3, y + row.height / 2), "rm"),
    ):
        pen.text(place, text, "white", _font(), anchor, stroke_width=1, stroke_fill="black")


def _upright(text: str, height: int) -> Image.Image:
    """A line of text from below to above, in the middle of a height."""
    strip = Image.new("RGB", (height, LINE), "white")
    ImageDraw.Draw(strip).text((height / 2, 1), text, "black", _font(), anchor="ma")
    return strip.transpose(Image.Transpose.ROTATE_90)


PER_ROW = 4
"""Classes that a line of the legend names."""


def _legend_rows(names: Sequence[str]) -> int:
    return -(-(len(names) - 1) // PER_ROW)


def _legend(pen: ImageDraw.ImageDraw, names: Sequence[str], corner: tuple[int, int]) -> None:
    left, top = corner
    step = (pen.im.size[0] - left) // min(PER_ROW, max(len(names) - 1, 1))
    for index, name in enumerate(names[1:]):
        x, y = left + index % PER_ROW * step, top + index // PER_ROW * LINE
        pen.rectangle((x, y + 2, x + 14, y + 12), fill=class_color(index + 1))
        pen.text((x + 20, y), name, "black", _font())


def _fullest(label: np.ndarray) -> tuple[int, ...]:
    """Along every axis, the slice with most foreground; the middle one if there is none."""
    if not (foreground := label > 0).any() or foreground.all():
        return tuple(length // 2 for length in label.shape)
    others = [tuple(o for o in range(3) if o != axis) for axis in range(3)]
    return tuple(int(foreground.sum(axis=rest).argmax()) for rest in others)


@cache
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(get_data_path()) / "fonts/ttf/DejaVuSans.ttf", 12)
