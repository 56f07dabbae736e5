"""Pictures for the gallery of models that ship no checkpoint: each at work after a small training.

    OMP_NUM_THREADS=1 python benchmarks/gallery_pictures.py [NAME ...]    # into docs/pictures

The data are generated or come with scikit-learn, and the nets are smaller than those of the papers:
a picture shows what a model does, and no figure is taken from it.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

import zoo

PICTURES = Path(__file__).parents[1] / "docs/pictures"
WIDTH = 900
DIGITS = {"name": "digits", "batch_size": 32}
PHANTOM = {"name": "phantom", "batch_size": 1}
WHOLE = {"lr": 0.01, "window": [0, 0, 0]}
PAGE = "predictions"
"""In place of a plot: pictures with what is predicted for them."""
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
    "timm-any": (
        {"name": "timm/resnet10t", "lr": 0.002},
        {"name": "image-folder", "image_size": 48, "batch_size": 16},
        10,
        PAGE,
    ),
    "monai-any": ({"name": "monai/UNet", "lr": 0.003}, PHANTOM, 12, "median_case"),
    "pyramid-lstm": (
        {"name": "pyramid-lstm", "hidden": [8, 12], "fully_connected": [12], **WHOLE},
        PHANTOM,
        6,
        "median_case",
    ),
    "md-lstm": ({"name": "md-lstm", "hidden": [8, 12], **WHOLE}, PHANTOM, 6, "median_case"),
}
"""Model, data, epochs, and which plot of the run is taken."""


def draw_shapes(folder: Path) -> None:
    """A folder of images of three classes, with noise around them."""
    chosen = random.Random(1)
    for number in range(150):
        label = ("disc", "square", "triangle")[number % 3]
        picture = Image.effect_noise((48, 48), 90).convert("RGB")
        x, y, r = chosen.randint(18, 30), chosen.randint(18, 30), chosen.randint(7, 14)
        color = tuple(chosen.choices(range(90, 256), k=3))
        pen = ImageDraw.Draw(picture)
        if label == "disc":
            pen.ellipse((x - r, y - r, x + r, y + r), fill=color)
        elif label == "square":
            pen.rectangle((x - r, y - r, x + r, y + r), fill=color)
        else:
            pen.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=color)
        (folder / label).mkdir(exist_ok=True)
        picture.save(folder / label / f"{number}.png")


def main() -> None:
    """Train, and keep the picture."""
    names = sys.argv[1:] or list(SMALL)
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            model, data, epochs, plot = SMALL[name]
            if name == "timm-any":
                shapes = Path(scratch) / "shapes"
                shapes.mkdir()
                draw_shapes(shapes)
                data = {**data, "root": str(shapes)}
            recipe = {
                "about": {"summary": f"A small {name}"},
                "seed": 1,
                "model": model,
                "data": data,
                "trainer": {"max_epochs": epochs, "accelerator": "cpu"},
            }
            run = zoo.train(recipe, out=Path(scratch) / name)
            found = run.plots / f"{plot}.png"
            if plot == PAGE:
                zoo.predict(run.path, [data["root"]], out=Path(scratch) / "out", pages=1)
                found = min((Path(scratch) / "out/pictures").glob("[!l]*.png"))
            with Image.open(found) as drawn:
                height = round(drawn.height * WIDTH / drawn.width)
                smaller = drawn.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
            smaller.quantize(128).save(PICTURES / f"{name}.png", optimize=True)
            print(name, {key: round(value, 3) for key, value in run.metrics.items()})


if __name__ == "__main__":
    main()
