"""Video to mouth: frames a second and core from file to crop, on clips of GRID.

    python benchmarks/video.py [--root ../shared/data/grid] [--clips 20] [--repeats 5]

Timed in one run, clip by clip in turn: decoding alone; finding the face in every frame, the
obvious way; ours, which looks at a few frames of each clip; and reading the cache. A second is
one of processor time, all threads together, so that it is of one core whatever else the machine
does. Printed are medians over the repeats, as the table in benchmarks/results/lipreading.md.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import machine
import numpy as np

from zoo_lipreading.video.crop import crop_mouth
from zoo_lipreading.video.decode import read_video
from zoo_lipreading.video.face import find_by_haar
from zoo_lipreading.video.mouths import SIZE, Mouths, read_mouth

LEAST = 80
"""Frames a second and core that there have to be."""


def in_every_frame(path: Path) -> None:
    """Find and crop the mouth frame by frame."""
    for frame in read_video(path).frames:
        crop_mouth(frame[None], find_by_haar, SIZE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("../shared/data/grid"))
    parser.add_argument("--clips", type=int, default=20, help="clips timed")
    parser.add_argument("--repeats", type=int, default=5, help="timings of each")
    arguments = parser.parse_args()
    paths = sorted(arguments.root.rglob("*.mpg"))
    if not paths:
        parser.error(f"there is no clip under {arguments.root}")
    # Spread over the speakers.
    paths = [paths[round(at)] for at in np.linspace(0, len(paths) - 1, arguments.clips)]
    cv2.setNumThreads(1)
    frames = sum(len(read_video(path).frames) for path in paths)
    with tempfile.TemporaryDirectory() as folder:
        mouths = Mouths(cache=Path(folder))
        for path in paths:
            mouths.file(path)
        ways: dict[str, Callable[[Path], object]] = {
            "decoding alone": read_video,
            "face found in every frame": in_every_frame,
            "ours, file to crop": lambda path: read_mouth(path, find_by_haar),
            "ours, from the cache": lambda path: np.array(np.load(mouths.file(path))),
        }
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(arguments.repeats):
            seconds = dict.fromkeys(ways, 0.0)
            for path in paths:
                for name, way in ways.items():
                    start = time.process_time()
                    way(path)
                    seconds[name] += time.process_time() - start
            for name in ways:
                spent[name].append(seconds[name])
    print(f"- {machine.today()}, `python benchmarks/video.py`")
    print(f"- {machine.describe()}; PyAV {av.__version__}, OpenCV {cv2.__version__}")
    print(f"- {len(paths)} clips, {frames} frames of 360x288; {arguments.repeats} repeats\n")
    print("| what | frames a second and core (median) | slowest repeat |\n|---|---|---|")
    for name, each in spent.items():
        print(f"| {name} | {frames / statistics.median(each):.0f} | {frames / max(each):.0f} |")
    ours = frames / max(spent["ours, file to crop"])
    if ours < LEAST:
        raise SystemExit(f"{ours:.0f} frames a second and core are below {LEAST}")


if __name__ == "__main__":
    main()
