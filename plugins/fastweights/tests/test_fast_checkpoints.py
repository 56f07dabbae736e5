"""The shipped models at work (measured in tests/test_shipped_checkpoints)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw

import zoo

SIGNS = {
    "box": [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)],
    "hook": [(0, 0), (0, 1), (1, 1)],
    "tent": [(0, 1), (0.5, 0), (1, 1)],
    "zigzag": [(0, 0), (1, 0), (0, 1), (1, 1)],
    "plus": [(0.5, 0), (0.5, 1), (0.5, 0.5), (0, 0.5), (1, 0.5)],
}
"""The pen's way over a unit square."""


def test_the_character_model_knows_english_from_noise() -> None:
    model = zoo.load("text-lm-shakespeare")
    line = "What is the matter with the king, my lord?\n"
    noise = "".join(sorted(line))
    with torch.inference_mode():
        surprise = [
            float(model.predict_step(model.symbols_of(text), 0).mean()) for text in (line, noise)
        ]
        (row,) = model.produce(None, start="ROMEO:", length=60, temperature=0)
    assert surprise[0] < 2 < surprise[1]
    assert row["text"].startswith("ROMEO:")
    assert len(row["text"]) == 66


def draw(path: Path, way: Sequence[tuple[float, float]], place: int, size: int) -> Path:
    """A sign with a black pen on white paper of 105 x 105."""
    path.parent.mkdir(parents=True, exist_ok=True)
    paper = Image.new("L", (105, 105), 255)
    points = [(place + size * x, place + 0.9 * size * y) for x, y in way]
    ImageDraw.Draw(paper).line(points, fill=0, width=4, joint="curve")
    paper.save(path)
    return path


def test_the_few_shot_learner_tells_signs_that_were_drawn_once(tmp_path: Path) -> None:
    for name, way in SIGNS.items():
        draw(tmp_path / f"support/{name}/mine.png", way, 22, 60)
    asked = {
        draw(tmp_path / f"{name}-{place}.png", way, place, size): name
        for name, way in SIGNS.items()
        for place, size in ((30, 55), (18, 66))
    }
    rows = zoo.predict("few-shot-omniglot", list(asked)).rows
    right = sum(row["label"] == name for row, name in zip(rows, asked.values(), strict=True))
    assert right >= 8, rows
