"""Recall of many pairs against the size of the memory: delta rule, sum rule and softmax attention.

    python benchmarks/fastweights_mqar.py                 # what is missing of the table
    python benchmarks/fastweights_mqar.py --steps 3000    # another budget, in rows of its own
    python benchmarks/fastweights_mqar.py --show          # write the table and the picture again

Trains the recipe fastweights/mqar with each mixer and width on a smaller problem than the recipe's:
8 pairs among 128 symbols in 32 places, batches of 32, 1,500 steps. The size of a memory is counted:
all numbers that the model carries from the last symbol of a sequence to the next, the inputs of the
short convolutions among them. A finished row is added to results/fastweights-mqar.csv at once and
not trained again; the table is results/fastweights-mqar.md and its picture
docs/pictures/fastweights-mqar.png.

The plot is Zoology's (Arora and others, ICLR 2024, figure 2), whose problems are larger.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import torch
from machine import describe, today
from matplotlib.figure import Figure

import zoo
from zoo_fastweights.mqar_net import MQARNet
from zoo_fastweights.streaming import flatten

RESULTS = Path(__file__).parent / "results"
FOUND, TABLE = RESULTS / "fastweights-mqar.csv", RESULTS / "fastweights-mqar.md"
PICTURE = RESULTS.parents[1] / "docs/pictures/fastweights-mqar.png"
HEADER = ["mixer", "dim", "steps", "seed", "memory", "accuracy", "seconds"]
MIXERS, DIMS = ("delta", "sum", "softmax"), (8, 16, 32, 64)
PROBLEM = {
    "data.vocab_size": 128,
    "data.length": 32,
    "data.pairs": [4, 8],
    "data.batch_size": 32,
    "data.eval_sequences": 250,
}
CHANCE = 1 / 64
"""Of the values, half of the symbols."""


class Row(NamedTuple):
    """A model and its budget."""

    mixer: str
    dim: int
    steps: int
    seed: int


def found() -> dict[Row, list[str]]:
    """Those that are trained already: numbers of the memory, accuracy, processor seconds."""
    if not FOUND.is_file():
        return {}
    with FOUND.open(encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    return {Row(row[0], *map(int, row[1:4])): row[4:] for row in rows}


def memory_of(model: MQARNet) -> int:
    """Numbers that are carried on at the end of a sequence."""
    with torch.no_grad():
        _, states = model.net.stack(model.net.embedding(model.example_input[:1]))
    return sum(tensor.numel() for tensor in flatten(states))


def train(row: Row) -> list[str]:
    """The rest of a row."""
    settings = {
        "seed": row.seed,
        "model.mixer": row.mixer,
        "model.dim": row.dim,
        "trainer.max_steps": row.steps,
        "trainer.logger": False,
        "trainer.enable_progress_bar": False,
    }
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = zoo.train("fastweights/mqar", {**PROBLEM, **settings}, out=Path(folder) / "run")
        model = zoo.load(run.bundle)
        assert isinstance(model, MQARNet)
        accuracy = f"{run.metrics['test/accuracy']:.4f}"
        return [str(memory_of(model)), accuracy, f"{time.process_time() - begin:.0f}"]


def add(row: Row, rest: list[str]) -> None:
    """A finished row into the file."""
    new = not FOUND.is_file()
    with FOUND.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(HEADER)
        writer.writerow([*map(str, row), *rest])


def show() -> None:
    """The table, and accuracies against the size of the memory."""
    measured = sorted(found().items())
    lines = [
        "# Recall of eight pairs against the size of the memory",
        "",
        f"`python benchmarks/fastweights_mqar.py`, {today()}, {describe()}. The recipe "
        "fastweights/mqar on 8 pairs among 128 symbols in 32 places; training ends after the "
        "steps, or at a validation accuracy of 0.995. The memory is all numbers that are carried "
        f"from one symbol to the next. A guess among the values is right in {CHANCE:.3f}.",
        "",
        "| mixer | width | at most steps | seed | memory | accuracy | processor seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {' | '.join([*map(str, row), *rest])} |" for row, rest in measured]
    TABLE.write_text("\n".join([*lines, ""]), encoding="utf-8")
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    for mixer in MIXERS:
        points = sorted(
            (int(rest[0]), float(rest[1])) for row, rest in measured if row.mixer == mixer
        )
        sizes, shares = [size for size, _ in points], [share for _, share in points]
        axes.plot(sizes, shares, marker="o", label=mixer)
    axes.axhline(CHANCE, color="gray", linewidth=0.8)
    axes.set(xlabel="numbers of the memory", ylabel="accuracy", xscale="log")
    axes.legend()
    figure.savefig(PICTURE, dpi=90)


def main() -> None:
    """Train what is missing, and show."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=1500, help="at most (default: 1500)")
    parser.add_argument("--seed", type=int, default=1, help="(default: 1)")
    parser.add_argument("--show", action="store_true", help="train nothing")
    options = parser.parse_args()
    for dim in DIMS:
        for mixer in MIXERS:
            row = Row(mixer, dim, options.steps, options.seed)
            if options.show or row in found():
                continue
            rest = train(row)
            add(row, rest)
            print(*row, *rest, flush=True)
    show()


if __name__ == "__main__":
    main()
