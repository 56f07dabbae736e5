"""What `zoo predict --out` costs on many JPEGs: against a bare loop, in one run.

The bare loop is what a user writes who has the weights: it opens each file with Pillow (a JPEG at
reduced size, as the zoo does), turns it upright, scales and crops it, stacks batches, runs the
network and writes a CSV. It draws nothing and checks nothing. `zoo predict --out` reads any image
file, checks its header, names what fails, writes CSV and JSON and draws four pages and one of the
least sure.

Processor time, user and system, of whole processes, imports included; and of the same processes
less what importing torch, lightning, timm, torchvision and matplotlib costs each of them alike.

    OMP_NUM_THREADS=1 python benchmarks/predicting.py [--images 1500] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from machine import describe, today
from PIL import Image

RESULTS = Path(__file__).parent / "results"
SIZE = 128
IMPORTS = "import torch, lightning, timm, torchvision, matplotlib"
BARE = """
import csv, sys
from pathlib import Path
import numpy as np, torch
from PIL import Image, ImageOps
import zoo

model = zoo.load(sys.argv[1])
files = sorted(Path(sys.argv[2]).rglob("*.jpg"))
size = tuple(model.image_size)[::-1]
rows = []
with torch.inference_mode():
    for start in range(0, len(files), 32):
        pixels = []
        for path in files[start : start + 32]:
            with Image.open(path) as image:
                image.draft(None, (2 * size[0], 2 * size[1]))
                upright = ImageOps.exif_transpose(image).convert("RGB")
                fitted = ImageOps.fit(upright, size, Image.Resampling.BILINEAR)
                pixels.append(torch.from_numpy(np.array(fitted)).permute(2, 0, 1))
        for path, shares in zip(files[start:], model(torch.stack(pixels)).softmax(1)):
            best = int(shares.argmax())
            rows.append([path, model.label_names[best], float(shares[best]), *shares.tolist()])
with open(sys.argv[3], "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["file", "label", "confidence", *model.label_names])
    writer.writerows(rows)
"""


def make_photographs(folder: Path, count: int, classes: int = 5) -> None:
    """JPEGs of 640x480 pixels in folders of classes: smooth color, edges and some grain."""
    for number in range(count):
        rng = np.random.default_rng(number)
        coarse = rng.integers(0, 256, (15, 20, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC))
        left, top = rng.integers(0, 400, 2)
        pixels = smooth.astype(np.int16) + rng.integers(-12, 13, smooth.shape, dtype=np.int16)
        label = number % classes
        pixels[top : top + 60, left : left + 200] = 255 * label // classes
        place = folder / f"class-{label}" / f"{number:06d}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place, quality=90)


def processor_time(command: Sequence[str | Path]) -> float:
    """Seconds, user and system, that a process and its children take."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=dict(os.environ))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    """Let the contenders take turns and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_photographs(folder / "photos", options.images)
        make_photographs(folder / "few", 30)
        zoo = [sys.executable, "-m", "zoo"]
        quick = f"""--data.root {folder / "few"} --data.image_size {SIZE} --trainer.max_epochs 1
            --trainer.accelerator cpu --out {folder / "run"}""".split()
        subprocess.run([*zoo, "train", "vision/timm-image-folder", *quick], check=True)
        (folder / "bare.py").write_text(BARE)
        run, photos = folder / "run", folder / "photos"
        for number in range(options.rounds):
            out = folder / f"out-{number}"
            predict = [*zoo, "predict", run, photos, "--device", "cpu", "--out", out]
            commands: dict[str, list[str | Path]] = {
                "imports": [sys.executable, "-c", IMPORTS],
                "bare loop": [sys.executable, folder / "bare.py", run, photos, folder / "bare.csv"],
                "zoo predict --out": predict,
                "zoo predict --out --pages 0": [*predict[:-1], f"{out}-0", "--pages", "0"],
            }
            for name, command in commands.items():
                times.setdefault(name, []).append(processor_time(command))
    imports = statistics.median(times.pop("imports"))
    lines = [
        f"# `zoo predict` on {options.images:,} JPEGs",
        "",
        f"- {today()}, `OMP_NUM_THREADS=1 python benchmarks/predicting.py --images "
        f"{options.images} --rounds {options.rounds}`",
        f"- {describe()}",
        f"- generated JPEGs of 640x480, resnet18 at {SIZE}x{SIZE} on the CPU; processor time, user "
        "and system, of whole processes, medians of the rounds",
        f"- imports alone: {imports:.1f} s",
        "",
        "| what | target: at most | / bare loop | / bare loop, both less the imports | seconds |",
        "|---|---|---|---|---|",
    ]
    for name, taken in times.items():
        whole = statistics.median(a / b for a, b in zip(taken, times["bare loop"], strict=True))
        less = statistics.median(
            (a - imports) / (b - imports) for a, b in zip(taken, times["bare loop"], strict=True)
        )
        asked = "1.2" if name == "zoo predict --out" else ""
        lines.append(
            f"| {name} | {asked} | {whole:.3f} | {less:.3f} | {statistics.median(taken):.1f} |"
        )
    text = "\n".join([*lines, ""])
    print(text)
    (RESULTS / "predicting.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
