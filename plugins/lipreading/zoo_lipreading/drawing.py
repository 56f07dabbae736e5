"""Mouths with the words that were read from them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

WIDTH = 240
"""Of an animation, in pixels."""
_BAR = 28
_GRAYS = 0xF8
"""32 of them: more make the file several times larger."""
_FRAMES = 7
"""Of each word on a page."""
_GAP = 2


class Read(Protocol):
    """A word with its times in seconds."""

    @property
    def word(self) -> str: ...
    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...
    @property
    def confidence(self) -> float: ...


def gif(mouth: np.ndarray, frame_rate: float, words: Sequence[Read]) -> bytes:
    """An animation of the mouth, each word under it while it is said.

    Args:
        mouth: uint8 (T, H, W).
        frame_rate: Frames a second; the animation is as fast, to a hundredth of a second.
        words: What was read.

    Returns:
        The content of a GIF file.
    """
    height = round(mouth.shape[1] * WIDTH / mouth.shape[2])
    font = ImageFont.load_default(size=16)
    pages = []
    for index, frame in enumerate(mouth):
        page = Image.new("L", (WIDTH, height + _BAR), 255)
        image = Image.fromarray(frame & _GRAYS)
        page.paste(image.resize((WIDTH, height), Image.Resampling.NEAREST), (0, 0))
        now = (index + 0.5) / frame_rate
        text = "  ".join(
            f"{word.word} {word.confidence:.0%}" for word in words if word.start <= now < word.end
        )
        ImageDraw.Draw(page).text(
            (WIDTH // 2, height + _BAR // 2), text, fill=0, font=font, anchor="mm"
        )
        pages.append(page)
    content = io.BytesIO()
    pages[0].save(
        content,
        "GIF",
        save_all=True,
        append_images=pages[1:],
        duration=max(20, round(1000 / frame_rate)),
        loop=0,
    )
    return content.getvalue()


def word_sheet(
    mouth: np.ndarray, frame_rate: float, words: Sequence[Read], heading: str = ""
) -> Figure:
    """A row of mouths for each word.

    Args:
        mouth: uint8 (T, H, W).
        frame_rate: Frames a second.
        words: What was read; of none, the clip is a row of its own.
        heading: A line above.
    """
    length = len(mouth) / frame_rate
    rows = [
        (word.start, word.end, f"{word.word}\n{word.confidence:.0%}\n{word.start:.2f} s")
        for word in words
    ] or [(0.0, length, "nothing")]
    figure = Figure(figsize=(10, 0.4 + 0.85 * len(rows)), layout="constrained")
    gap = np.full((mouth.shape[1], _GAP), 255, np.uint8)
    for row, (start, end, title) in enumerate(rows):
        places = np.linspace(start * frame_rate, max(start, end) * frame_rate - 1, _FRAMES)
        chosen = places.round().astype(int).clip(0, len(mouth) - 1)
        strip = np.hstack([part for place in chosen for part in (mouth[place], gap)])
        axes = figure.add_subplot(len(rows), 1, row + 1)
        axes.imshow(strip, cmap="gray", vmin=0, vmax=255)
        axes.axis("off")
        axes.text(-0.01, 0.5, title, ha="right", va="center", fontsize=9, transform=axes.transAxes)
    figure.suptitle(heading)
    return figure
