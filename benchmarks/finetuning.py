"""Fine-tuned against from scratch, with few labelled examples of each class.

The registered MNIST column is adapted to scikit-learn's digits, and the digits' network to
MNIST; the same network with the same settings is trained from scratch on the same examples.

    ZOO_DATA=DIR python benchmarks/finetuning.py [--examples 10 50 200] [--seeds 3] [--steps 300]

Writes benchmarks/results/finetuning.md and docs/finetuning.png.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import statistics
import tempfile
from pathlib import Path

from machine import describe, today
from matplotlib.figure import Figure

import zoo
from zoo import plots
from zoo.training.finetune import finetuning_recipe

HERE = Path(__file__).parent
RESULT = HERE / "results" / "finetuning.md"
PICTURE = HERE.parent / "docs" / "finetuning.png"
PAIRS = (("mpcnn-mnist", "digits"), ("mpcnn-digits", "mnist"))
BATCH = 32


def accuracy(reference: str, data: str, examples: int, seed: int, steps: int, fresh: bool) -> float:
    """Test accuracy after ``steps`` steps on so many examples of each class."""
    recipe = finetuning_recipe(reference, data)
    if fresh:
        recipe = dataclasses.replace(recipe, start={})
    changes = {
        "seed": seed,
        "model.lr": 0.001,
        "model.dropout": 0.0,
        "data.batch_size": BATCH,
        "data.val_fraction": 0.0,
        "data.train_per_class": examples,
        "trainer.max_epochs": math.ceil(steps / math.ceil(10 * examples / BATCH)),
        "trainer.enable_progress_bar": False,
    }
    with tempfile.TemporaryDirectory() as folder:
        run = zoo.train(recipe, changes, out=Path(folder) / "run")
        return run.metrics["test/accuracy"]


def draw(found: dict[tuple[str, str, str, int], list[float]], counts: list[int]) -> Figure:
    """Test error against examples a class, one panel a direction."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for index, (reference, data) in enumerate(PAIRS):
        axes = figure.add_subplot(1, len(PAIRS), index + 1)
        for how in ("fine-tuned", "from scratch"):
            errors = [[1 - a for a in found[reference, data, how, n]] for n in counts]
            means = [statistics.mean(e) for e in errors]
            axes.plot(counts, means, marker="o", label=how)
            axes.fill_between(counts, [min(e) for e in errors], [max(e) for e in errors], alpha=0.2)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(counts, map(str, counts))
        axes.set_xlabel("labelled examples of each class")
        axes.set_ylabel("test error")
        axes.set_title(f"{reference} -> {data}")
        axes.grid(alpha=0.3, which="both")
        axes.legend()
    return figure


def main() -> None:
    """Train everything and write the table and the picture."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, nargs="+", default=[10, 50, 200])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    found: dict[tuple[str, str, str, int], list[float]] = {}
    for reference, data in PAIRS:
        for count in options.examples:
            for how, fresh in (("fine-tuned", False), ("from scratch", True)):
                values = [
                    accuracy(reference, data, count, seed, options.steps, fresh)
                    for seed in range(options.seeds)
                ]
                found[reference, data, how, count] = values
                print(reference, data, count, how, [f"{v:.4f}" for v in values], flush=True)
    rows = [
        f"| {reference} -> {data} | {count} | "
        + " | ".join(
            f"{statistics.mean(v):.2%} ({min(v):.2%} to {max(v):.2%})"
            for v in (found[reference, data, how, count] for how in ("fine-tuned", "from scratch"))
        )
        + " |"
        for reference, data in PAIRS
        for count in options.examples
    ]
    command = f"--examples {' '.join(map(str, options.examples))} --seeds {options.seeds}"
    lines = [
        "# Fine-tuned against from scratch",
        "",
        f"- {today()}, `python benchmarks/finetuning.py {command} --steps {options.steps}`",
        f"- {describe()}",
        f"- test accuracy, mean and range of {options.seeds} seeds, which also choose the "
        f"examples; about {options.steps} steps of {BATCH} images, lr 0.001 for both, otherwise "
        "the settings of the network's recipe; nothing was tuned on these metrics",
        "- the training part of the digits has 143 or fewer of each class: 200 stands for all",
        "- a model keeps its preprocessing: the digits' network sees MNIST at its own 8x8 pixels",
        "",
        "| from -> to | examples a class | fine-tuned | from scratch |",
        "|---|---|---|---|",
        *rows,
        "",
    ]
    RESULT.write_text("\n".join(lines))
    plots.save(draw(found, options.examples), PICTURE)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
