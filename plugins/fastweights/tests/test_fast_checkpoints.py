"""The shipped character model writes, and measures as its card says where its text is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

import zoo

NAME = "text-lm-shakespeare"
TEXT = Path(os.environ.get("ZOO_DATA", "../shared/data")) / "text/tinyshakespeare"


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


@pytest.mark.slow
def test_it_measures_as_its_card_says() -> None:
    if not TEXT.is_dir():
        pytest.skip(f"{TEXT} is not there; set ZOO_DATA to the folder that holds text/")
    found = zoo.evaluate(NAME, {"data.root": str(TEXT)})
    assert found["test/nll"] == pytest.approx(1.7655, abs=1e-3)
