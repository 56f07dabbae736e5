"""Pictures for the gallery of models that ship no checkpoint: each at work after a small training.

    OMP_NUM_THREADS=1 python benchmarks/gallery_pictures.py [NAME ...]    # into docs/pictures

The data are generated or come with scikit-learn, and the nets are smaller than those of the papers:
a picture shows what a model does, and no figure is taken from it. ``few-shot`` reads the published
zips of Omniglot, and ``echo-state`` the Santa Fe laser, where ZOO_DATA has them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

import zoo

PICTURES = Path(__file__).parents[1] / "docs/pictures"
WIDTH = 900
DIGITS = {"name": "digits", "batch_size": 32}
PHANTOM = {"name": "phantom", "batch_size": 1}
WHOLE = {"lr": 0.01, "window": [0, 0, 0]}
SMALL: dict[str, tuple[dict[str, Any], dict[str, Any], int, str]] = {
    "mlp": ({"name": "mlp", "hidden": [128, 64], "lr": 0.003}, DIGITS, 5, "mistakes"),
    "mcdnn": (
        {
            "name": "mcdnn",
            "net": "1x29x29-20C4-MP2-40C5-MP3-150N-10N",
            "preprocessings": ["none", "width16"],
            "columns_per_preprocessing": 1,
            "lr": 0.003,
        },
        DIGITS,
        2,
        "mistakes",
    ),
    "timm-any": ({"name": "timm/resnet10t", "lr": 0.003}, DIGITS, 8, "mistakes"),
    "monai-any": ({"name": "monai/UNet", "lr": 0.003}, PHANTOM, 12, "median_case"),
    "pyramid-lstm": (
        {"name": "pyramid-lstm", "hidden": [8, 12], "fully_connected": [12], **WHOLE},
        PHANTOM,
        6,
        "median_case",
    ),
    "evolino": (
        {
            "name": "evolino",
            "cells": 15,
            "input_scale": 0.01,
            "spread": 0.3,
            "mutation_scale": 0.01,
        },
        {"name": "superimposed-sines", "sines": 3, "generations": 40},
        1,
        "continuation",
    ),
    "lstm": (
        {"name": "lstm", "chrono": 30, "lr": 0.02},
        {"name": "adding", "length": 30, "batch_size": 50, "epoch": 20_000},
        3,
        "sequences",
    ),
    "ctc-recognizer": (
        {"name": "ctc-recognizer", "hidden": 64, "noise": 0.1, "lr": 0.005},
        {"name": "rendered-lines", "columns": 4},
        6,
        "emissions",
    ),
    "md-lstm": ({"name": "md-lstm", "hidden": [8, 12], **WHOLE}, PHANTOM, 6, "median_case"),
}
"""Model, data, epochs, and which plot of the run is taken."""
RECIPES: dict[str, tuple[str, str]] = {
    "black-box": ("evolution/rosenbrock-xnes", "search"),
    "clockwork-rnn": ("sequence/clockwork-waveform", "waves"),
    "curious": ("worldmodels/noisy-tv", "rooms"),
    "echo-state": ("sequence/laser", "forecast"),
    "evolved-controller": ("evolution/double-pole-snes", "search"),
    "few-shot": ("fastweights/omniglot-delta", "tasks"),
    "flip-flop-1992": ("fastweights/flip-flop", "stream"),
    "history-compressor": ("sequence/history-compressor", "events"),
    "lstm97": ("sequence/two-sequence", "sequences"),
    "mqar-net": ("fastweights/mqar", "recall"),
    "one": ("worldmodels/one-net", "scores"),
    "world-model": ("worldmodels/dreamt-cartpole", "beside"),
}
"""Recipe and plot, for models that learn in minutes."""


def chosen(name: str) -> tuple[dict[str, Any] | str, str]:
    """Recipe and plot of a model's picture."""
    if name in RECIPES:
        return RECIPES[name]
    model, data, epochs, plot = SMALL[name]
    recipe = {
        "about": {"summary": f"A small {name}"},
        "seed": 1,
        "model": model,
        "data": data,
        "trainer": {"max_epochs": epochs},
    }
    return recipe, plot


def main() -> None:
    """Train, and keep the picture."""
    names = sys.argv[1:] or [*SMALL, *RECIPES]
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            recipe, plot = chosen(name)
            run = zoo.train(recipe, {"trainer.accelerator": "cpu"}, out=Path(scratch) / name)
            with Image.open(run.plots / f"{plot}.png") as drawn:
                height = round(drawn.height * WIDTH / drawn.width)
                smaller = drawn.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
            few = smaller.quantize(256, Image.Quantize.MAXCOVERAGE)  # keeps a rare class's color
            few.save(PICTURES / f"{name}.png", optimize=True)
            print(name, {key: round(value, 3) for key, value in run.metrics.items()})


if __name__ == "__main__":
    main()
