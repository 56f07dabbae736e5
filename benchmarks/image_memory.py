"""Memory against the number of images: `zoo train` on folders of JPEGs that are decoded from disk.

JPEGs of 512x512 pixels, a hundred pictures repeated with other bytes at their end, so that no two
files are copies. Of each folder an epoch of a few batches is trained; every file is checked, a
sample is measured and what a run needs of each file is in memory. Peak resident set of the
process, less that of one which only imports.

    OMP_NUM_THREADS=1 python benchmarks/image_memory.py [--counts 1500 6000 24000]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from machine import describe, today
from PIL import Image
from predicting import IMPORTS, make_photographs

RESULTS = Path(__file__).parent / "results"
SIZE, BATCHES = 224, 20


def make_folder(folder: Path, pictures: list[bytes], count: int) -> None:
    """Files in two classes."""
    for number in range(count):
        path = folder / "ab"[number % 2] / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pictures[number % len(pictures)] + number.to_bytes(8, "big"))


def peak(command: list[str]) -> tuple[float, float]:
    """Largest resident set of a process in MB, and its processor time."""
    pid = os.fork()
    if not pid:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.execv(sys.executable, [sys.executable, *command])
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise RuntimeError(f"{command} failed")
    return usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure each folder and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--counts", type=int, nargs="+", default=[1500, 6000, 24000])
    options = parser.parse_args()
    imports, _ = peak(["-c", IMPORTS])
    lines = [
        "# Memory against the number of images",
        "",
        f"- {today()}, `OMP_NUM_THREADS=1 python benchmarks/image_memory.py --counts "
        f"{' '.join(map(str, options.counts))}`",
        f"- {describe()}",
        f"- JPEGs of 512x512, decoded from disk at {SIZE}x{SIZE}; a small max-pooling net, "
        f"{BATCHES} batches of 32; imports alone: {imports:.0f} MB",
        "",
        "| images | MB over the imports | processor time, s |",
        "|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_photographs(folder / "originals", 100, 1)
        pictures = []
        for path in sorted((folder / "originals").rglob("*.jpg")):
            with Image.open(path) as image:
                image.resize((512, 512)).save(path, quality=75)
            pictures.append(path.read_bytes())
        for count in options.counts:
            root, out = folder / f"photos-{count}", folder / f"run-{count}"
            make_folder(root, pictures, count)
            command = f"""-m zoo train vision/timm-image-folder --data.root {root}
                --data.image_size {SIZE} --data.memory_mb 0 --model.name mpcnn
                --model.net 3x{SIZE}x{SIZE}-4C5-MP4-8C4-MP4-N --trainer.max_epochs 1
                --trainer.limit_train_batches {BATCHES} --trainer.limit_val_batches {BATCHES}
                --trainer.limit_test_batches {BATCHES} --trainer.accelerator cpu --out {out}"""
            memory, seconds = peak(command.split())
            lines.append(f"| {count:,} | **{memory - imports:.0f}** | {seconds:.0f} |")
            print(lines[-1], flush=True)
    text = "\n".join([*lines, ""])
    print(text)
    (RESULTS / "image-memory.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
