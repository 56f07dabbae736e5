"""Five seeds of the digits and of the pole, compared: with another setting, and with each other.

    python benchmarks/compare_seeds.py [--runs DIR] [--jobs 1]

The runs lie in DIR, by default runs/compare-seeds; seeds that are finished there are not trained
again. Writes benchmarks/results/compare-seeds.md, .csv and .png.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from machine import describe, today

import zoo
from zoo import plots
from zoo.cli.compare_tables import as_text
from zoo.report.bands import bands
from zoo.report.comparison import to_csv

RESULT = Path(__file__).parent / "results" / "compare-seeds.md"
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


def main() -> None:
    """Train what is not there, and write down what is said of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=Path, default=Path("runs/compare-seeds"))
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    for name, (recipe, overrides) in GROUPS.items():
        out = options.runs / name
        zoo.train_seeds(recipe, "1-5", overrides, jobs=options.jobs, out=out, resume="auto")
    lines = [
        "# Seeds compared",
        "",
        f"- {today()}, `python benchmarks/compare_seeds.py`",
        f"- {describe()}",
        "- the machine did other work at the same time: the seconds are no measure of speed",
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
    plots.save(bands(found.curves, titles), RESULT.with_suffix(".png"))


if __name__ == "__main__":
    main()
