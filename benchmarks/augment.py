"""Elastic deformation of a batch against torchvision's, image by image, in one run.

    python benchmarks/augment.py [--size 29] [--batch 128] [--repeats 7]

Both deform the same images at the same sigma and alpha; ours is also timed with rotation,
scaling and translation in the same grid. The repeats alternate, so that a busy machine slows
both; printed are medians, and the result is written to benchmarks/results/augment.md.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision
from torchvision.transforms import v2

from zoo_vision.augmentation import Deformation

SIGMA, ALPHA = 6.0, 36.0
RESULT = Path(__file__).parent / "results" / "augment.md"


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def processor() -> str:
    lines = (
        Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if Path("/proc/cpuinfo").exists()
        else []
    )
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=29, help="side of the images, pixels")
    parser.add_argument("--batch", type=int, default=128, help="images in a batch")
    parser.add_argument("--repeats", type=int, default=7, help="timings of each")
    arguments = parser.parse_args()

    torch.manual_seed(0)
    images = torch.rand(arguments.batch, 1, arguments.size, arguments.size)
    elastic = Deformation(elastic_sigma=SIGMA, elastic_alpha=ALPHA)
    everything = Deformation(15.0, 0.15, 0.05, elastic_sigma=SIGMA, elastic_alpha=ALPHA)
    # torchvision's displacement is half of ours at the same alpha (its grid is 2 units wide);
    # that changes nothing in its work.
    theirs = v2.ElasticTransform(alpha=ALPHA, sigma=SIGMA)
    rows: dict[str, Callable[[], object]] = {
        "zoo, elastic, one batch": lambda: elastic(images),
        "zoo, elastic + affine, one batch": lambda: everything(images),
        "torchvision v2.ElasticTransform, image by image": lambda: [
            theirs(image) for image in images
        ],
    }
    for work in rows.values():
        work()
    timings: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(arguments.repeats):
        for name, work in rows.items():
            timings[name].append(seconds(work))
    each = {
        name: 1e6 * statistics.median(taken) / arguments.batch for name, taken in timings.items()
    }
    *_, slowest = each.values()
    table = ["| what | microseconds an image (median) | times faster |", "|---|---|---|"]
    table += [f"| {name} | {value:.1f} | {slowest / value:.1f} |" for name, value in each.items()]
    facts = [
        f"- {datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}, `{' '.join(['python', *sys.argv])}`",
        f"- {processor()}, {torch.get_num_threads()} thread(s); torch {torch.__version__}, "
        f"torchvision {torchvision.__version__}",
        f"- {arguments.batch} images of {arguments.size}x{arguments.size}, float32, "
        f"sigma {SIGMA:g}, alpha {ALPHA:g}; {arguments.repeats} repeats, alternating",
    ]
    report = "\n".join(["# Elastic deformation", "", *facts, "", *table, ""])
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(report)
    print(report)


if __name__ == "__main__":
    main()
