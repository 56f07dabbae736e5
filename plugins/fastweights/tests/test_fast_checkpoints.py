"""The shipped character model writes (measured in tests/test_shipped_checkpoints)."""

from __future__ import annotations

import torch

import zoo

NAME = "text-lm-shakespeare"


def test_it_knows_english_from_noise() -> None:
    model = zoo.load(NAME)
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
