"""Train a recipe by several seeds and add what came out to the records beside it.

    python benchmarks/reproduce.py vision/mpcnn-digits --seeds 1-3 [--note TEXT]
    python benchmarks/reproduce.py vision/mpcnn-digits --seeds 1-3 --trained RUNS

Records what the recipe's target asks for and what ``--metrics`` names, or every test metric where
there is neither; the tables that show it are written anew. ``--trained`` records the finished seeds
of a folder that this program kept by ``--out``, or ``zoo train --seeds`` made.
"""

from __future__ import annotations

import argparse
import datetime
import tempfile
from collections.abc import Sequence
from pathlib import Path

import tables

from zoo.experiments.seeds import train_seeds
from zoo.recipes.recipe import read_recipe
from zoo.recipes.records import Record, add_record
from zoo.registry.registry import registry
from zoo.runs.group import open_group
from zoo.runs.run import Run
from zoo.runs.target import read_target


def main() -> int:
    """Train, record, write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recipe", help="a name")
    parser.add_argument("--seeds", default="1-3", help="such as 1-3 or 1,5 (default: 1-3)")
    parser.add_argument("--jobs", type=int, default=1, help="how many at once (default: 1)")
    parser.add_argument("--note", default="", help="what a reader has to know to compare")
    parser.add_argument("--metrics", nargs="+", default=[], help="others to record")
    parser.add_argument("--out", help="keep the runs in this new folder")
    parser.add_argument("--trained", help="train nothing, record the seeds of this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(options.out or Path(scratch) / "runs")
        if options.trained:
            group, failed = open_group(Path(options.trained)), {}
        else:
            done = train_seeds(options.recipe, options.seeds, jobs=options.jobs, out=out)
            group, failed = done.group, done.failed
        runs = [run for name, run in group.runs.items() if name not in failed and run.finished]
        for name, reason in failed.items():
            print(f"{name} failed and is not recorded: {reason}")
        folder = registry().recipes[options.recipe].parent
        for record in records(options.recipe, runs, options.seeds, options.note, options.metrics):
            add_record(folder, record)
            print(f"{record.metric}: {record.described}")
    for path, text in tables.tables().items():
        path.write_text(text, encoding="utf-8")
    return 1 if failed else 0


def records(
    recipe: str, runs: list[Run], seeds: str, note: str = "", others: Sequence[str] = ()
) -> list[Record]:
    """What finished runs of a recipe reached, a record a metric.

    Args:
        recipe: Its name.
        runs: Of its seeds.
        seeds: As they were asked for, for the command.
        note: Of the records.
        others: Metrics beside that of the target.
    """
    if not runs:
        return []
    about = read_recipe(registry().recipes[recipe]).about
    target = read_target(about)
    metrics = {str(run.recipe.seed): run.metrics for run in runs}
    first = runs[0].environment
    names = [target.metric, *others] if target else [*others]
    names = names or [name for name in runs[0].metrics if name.startswith("test/")]
    hardware = first["hardware"]
    gpus = f", {', '.join(hardware['gpus'])}" if hardware["gpus"] else ""
    return [
        Record(
            recipe=recipe,
            metric=name,
            values={seed: round(values[name], 6) for seed, values in metrics.items()},
            date=datetime.date.today().isoformat(),
            command=f"make reproduce RECIPE={recipe} SEEDS={seeds}",
            hardware=f"{hardware['cpu']}, {hardware['cores']} cores{gpus}",
            target=dict(about["target"]) if target and name == target.metric else {},
            source=str(about.get("source", "")) if target and name == target.metric else "",
            seconds={str(run.recipe.seed): run.environment["fit_seconds"] for run in runs},
            threads=first["torch_threads"],
            versions=first["versions"],
            commit=first["git"],
            note=note,
        )
        for name in names
    ]


if __name__ == "__main__":
    raise SystemExit(main())
