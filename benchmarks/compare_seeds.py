"""Five seeds of the digits and of the pole, compared: with another setting, and with each other.

    python benchmarks/compare_seeds.py [--runs DIR] [--jobs 1]

The runs lie in DIR, by default runs/compare-seeds; seeds that are finished there are not trained
again. Writes benchmarks/results/compare-seeds.md and .csv, and docs/comparing.png.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from machine import describe, today

import zoo
from zoo import plots
from zoo.cli.compare_tables import as_text
from zoo.report.bands import bands
from zoo.report.comparison import to_csv

HERE = Path(__file__).parent
RESULT = HERE / "results" / "compare-seeds.md"
PICTURE = HERE.parent / "docs" / "comparing.png"
GROUPS = {
    "digits": ("vision/mpcnn-digits", {}),
    "digits-plain": ("vision/mpcnn-digits", {"model.elastic_alpha": "0"}),
    "cartpole": ("udrl/cartpole", {}),
}
TOLD = (("digits", "digits-plain"), ("cartpole",), ("digits", "cartpole"))


def call(name: str) -> str:
    """The command that trains a group."""
    recipe, overrides = GROUPS[name]
    changed = "".join(f" --{key} {value}" for key, value in overrides.items())
    return f"zoo train {recipe} --seeds 1-5{changed} --out {name}"


def told(folder: Path, names: tuple[str, ...]) -> str:
    """What ``zoo compare`` says, and how it refuses."""
    try:
        text = as_text(zoo.compare([folder / name for name in names]))
    except zoo.UsageError as error:
        text = f"zoo: {error}"
    return f"```text\n$ zoo compare {' '.join(names)}\n{text}\n```"


def coverage(samples: int = 4000, values: int = 5, resamples: int = 2000) -> float:
    """How often the percentile bootstrap interval of so few normal values covers their mean."""
    draw = np.random.default_rng(0)
    covered = 0
    for _ in range(samples):
        sample = draw.normal(size=values)
        means = sample[draw.integers(0, values, (resamples, values))].mean(1)
        low, high = np.quantile(means, [0.025, 0.975])
        covered += bool(low <= 0 <= high)
    return covered / samples


def reading(run: Path, count: int = 300) -> tuple[float, float]:
    """Seconds of processor time of ``zoo runs`` over so many copies of a run, and of a start that
    reads nothing."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            place = Path(folder) / f"{number:03}"
            place.mkdir()
            for name in ("recipe.yaml", "environment.json", "metrics.json", "metrics.csv"):
                shutil.copy(run / name, place)
        return processor_time("runs", folder), processor_time("--version")


def processor_time(*words: str, repeats: int = 9) -> float:
    """The median of several calls, user and system."""
    seconds = []
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "zoo", *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(seconds)


def main() -> None:
    """Train what is not there, and write down what is said of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=Path, default=Path("runs/compare-seeds"))
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    for name, (recipe, overrides) in GROUPS.items():
        out = options.runs / name
        zoo.train_seeds(recipe, "1-5", overrides, jobs=options.jobs, out=out, resume="auto")
    listing, start = reading(options.runs / "digits" / "seed-1")
    lines = [
        "# Seeds compared",
        "",
        f"- {today()}, `python benchmarks/compare_seeds.py`",
        f"- {describe()}",
        "- the machine did other work at the same time: the seconds are no measure of speed",
        f"- `zoo runs` over 300 runs takes {listing:.2f} s of processor time, of which the start "
        f"(`zoo --version`) takes {start:.2f}; medians of 9",
        f"- a percentile bootstrap interval of 95 % of five normal values covers their mean in "
        f"{coverage():.1%} of 4000 samples",
        "",
        "```sh",
        *map(call, GROUPS),
        "```",
        "",
    ]
    for names in TOLD:
        lines += [told(options.runs, names), ""]
    found = zoo.compare([options.runs / name for name in TOLD[0]])
    RESULT.write_text("\n".join(lines), encoding="utf-8")
    RESULT.with_suffix(".csv").write_text(to_csv(found), encoding="utf-8")
    titles = {row.label: f"{row.label}  {row.title}" for row in found.rows}
    plots.save(bands(found.curves, titles), PICTURE)


if __name__ == "__main__":
    main()
