"""A cart and its poles as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, sin

import numpy as np
from PIL import Image, ImageDraw

from zoo_evolution.tasks.poles.physics import Poles

WIDTH, HEIGHT, PIXELS_PER_METER = 360, 140, 68
_GROUND, _COLORS = 120, ((196, 78, 32), (32, 108, 178))


def draw_cart(positions: Sequence[float], poles: Poles) -> np.ndarray:
    """The cart at positions (x in meters, then the angles in radians): uint8 (140, 360, 3)."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(picture)
    middle = WIDTH / 2
    ends = middle - 2.4 * PIXELS_PER_METER, middle + 2.4 * PIXELS_PER_METER
    draw.line([(ends[0], _GROUND + 8), (ends[1], _GROUND + 8)], fill=(120, 120, 120), width=2)
    for end in ends:
        draw.line([(end, _GROUND - 4), (end, _GROUND + 8)], fill=(120, 120, 120), width=2)
    x = middle + positions[0] * PIXELS_PER_METER
    draw.rectangle([x - 18, _GROUND - 8, x + 18, _GROUND + 6], fill=(60, 60, 60))
    for angle, length, color in zip(positions[1:], poles.half_lengths, _COLORS, strict=False):
        # The shorter pole is a tenth of the longer: it is drawn three times as long to be seen.
        shown = 2 * length * PIXELS_PER_METER * (1 if length > 0.1 else 3)
        tip = x + shown * sin(angle), _GROUND - 8 - shown * cos(angle)
        draw.line([(x, _GROUND - 8), tip], fill=color, width=4)
    return np.asarray(picture)
