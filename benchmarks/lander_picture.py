"""The moving picture of the README: one network lands well or fails, as it is told.

    python benchmarks/lander_picture.py docs/pictures/lander.gif

The registered checkpoint ``udrl-lunarlander`` plays one test episode three times, the same ground
and the same first push, by three commands. The episode was picked for the picture: how closely
commands are kept over 100 episodes is in docs/pictures/udrl-lunarlander-commands.png.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import cast

from PIL import Image, ImageDraw, ImageFont

import zoo
from zoo_udrl.agent import UpsideDownAgent

COMMANDS = {"land": (280, 300), "no points": (0, 200), "fail": (-150, 100)}
"""What each panel shows: the desired return, and in how many steps."""
EPISODE = 7
WIDTH, HEIGHT, HEAD = 250, 167, 44
EVERY = 3
"""Of the recorded frames one is kept: at 50 frames a second the file has several megabytes."""
HELD = 12
"""Frames for which the last picture stays."""


def main() -> None:
    """Play, and write the file that is named on the command line."""
    agent = cast(UpsideDownAgent, zoo.load("udrl-lunarlander"))
    panels = []
    for name, (desired, horizon) in COMMANDS.items():
        with tempfile.TemporaryDirectory() as folder:
            rows = agent.play(
                Path(folder),
                episodes=EPISODE + 1,
                command_return=desired,
                command_horizon=horizon,
                greedy=True,
            )
            achieved = rows[EPISODE]["achieved_return"]
            frames = _frames(Path(folder) / f"episode-{EPISODE:02d}.gif")
        print(f"{name}: {desired} in {horizon} steps, achieved {achieved:.0f}")
        panels.append(([f"told: {desired} in {horizon} steps", f"did: {achieved:.0f}"], frames))
    length = max(len(frames) for _, frames in panels)
    images = [_joined(panels, number) for number in range(length)] + [
        _joined(panels, length)
    ] * HELD
    palette = images[length // 2].quantize(48)
    first, *rest = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    first.save(sys.argv[1], save_all=True, append_images=rest, duration=60, loop=0, optimize=True)


def _frames(path: Path) -> list[Image.Image]:
    """Some of the images of a GIF."""
    found = []
    with Image.open(path) as film:
        for number in range(0, getattr(film, "n_frames", 1), EVERY):
            film.seek(number)
            found.append(film.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))
    return found


def _joined(panels: list[tuple[list[str], list[Image.Image]]], number: int) -> Image.Image:
    """The panels side by side at one time, each with its command; the result stands at its end."""
    font = ImageFont.load_default(15)
    image = Image.new("RGB", (WIDTH * len(panels), HEIGHT + HEAD), "white")
    draw = ImageDraw.Draw(image)
    for place, ((command, result), frames) in enumerate(panels):
        image.paste(frames[min(number, len(frames) - 1)], (WIDTH * place, HEAD))
        draw.text((WIDTH * place + 8, 4), command, "black", font)
        if number >= len(frames) - 1:
            draw.text((WIDTH * place + 8, 23), result, "#1a5fb4", font)
    return image


if __name__ == "__main__":
    main()
