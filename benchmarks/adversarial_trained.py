"""One speaker of AVLetters left out, with nets that are trained to the end.

    ZOO_DATA=DIR python benchmarks/adversarial_trained.py run      # fold by fold; may be stopped
    python benchmarks/adversarial_trained.py report                # the table, from the rows so far

The experiment of adversarial.py again, whose nets were under-trained (16 epochs of 20x27 pixels).
Every run is a row of benchmarks/results/lipreading-adversarial-trained.csv, written when it ends;
what is there is not run again. All folds, each of which is one speaker left out, have the first
seed before any has the next.

The rule, written down before the first run:

- Each of the eight speakers is the target once. The next one of the sorted names (after the last
  the first) is the validation speaker, whose clips are in no training; the other six are sources,
  with all three repetitions.
- Net, augmentation, rate and size of the images (30x40) are those of
  lipreading/lipreader-avletters, for every condition, at a constant rate, for 60 epochs, of which
  the last is tested, once, on the target's repetition 3 (26 clips). (At first a training was to
  end when the validation speaker's accuracy, of 78 clips, had not risen for 15 epochs, and the
  best epoch to be tested. After seven trainings of the first fold that was given up: without an
  adversary they ended on the plateau of the beginning, as 0.10 of a stranger's clips are read
  there by chance and hardly more later, and what was tested had not learnt its own training clips.
  Their rows were thrown away.)
- What may be looked at of the target without labels are 20 seconds of repetitions 1 and 2.
- Conditions: ``baseline`` (one normalization for all, no adversary), ``speaker`` (each speaker's
  own normalization), ``adversary`` (one normalization, and the adversary), ``both``.
- The adversary tells target from source by the LSTM's last state; its weight rises as in Ganin et
  al. (gamma 10) over 100 epochs, as in the lab's later program. How high is chosen for each fold
  apart from its target: the validation speaker stands in for one (20 seconds of its repetitions 1
  and 2 looked at), ``both`` is trained by seed 1 for each of ``WEIGHTS`` and 40 epochs, and that
  weight is taken whose accuracy on the speaker's repetition 3 is highest; the first of equals.
- Seeds 1, 2, 3. What the adversary adds is ``both`` less ``speaker``, and ``adversary`` less
  ``baseline``, for each target the mean of its seeds; mean and 95 % interval over targets.
- Beside the accuracies stands how well speakers can be told from what the net makes of clips: the
  balanced accuracy of a logistic regression on the LSTM's last states, target against sources, in
  five folds (0.5 is chance).

Goal: at least 20 % relative by the adversary. An honest "it does not" is a result.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from adversarial import interval
from lightning.pytorch import Trainer, seed_everything
from machine import describe, today
from rows import add_row, read_rows
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from zoo.recipes.experiment import resolve
from zoo.recipes.recipe import override, read_recipe
from zoo.training.csv_logger import metrics_of
from zoo.training.quiet import quiet_lightning
from zoo_lipreading.data import avletters

ROWS = Path(__file__).parent / "results" / "lipreading-adversarial-trained.csv"
RECIPE = "lipreading/lipreader-avletters"
SPEAKERS = ["Anya", "Bill", "Faye", "John", "Kate", "Nicola", "Stephen", "Yi"]
SEEDS = (1, 2, 3)
WEIGHTS = (0.1, 0.3, 1.0)
EPOCHS = 60
CONDITIONS = {
    "baseline": ("global", False),
    "speaker": ("speaker", False),
    "adversary": ("global", True),
    "both": ("speaker", True),
}
COLUMNS = (
    "stage", "target", "condition", "weight", "seed", "epochs", "train_accuracy",
    "validation_accuracy", "target_accuracy", "told", "seconds",
)  # fmt: skip
_KEY = ("stage", "target", "condition", "weight", "seed")

_read_lips = functools.cache(avletters.read_lips)
# Every run reads the same 624 files.
avletters.read_lips = lambda path, size: _read_lips(path, tuple(size))


def validator_of(target: str) -> str:
    """The speaker by whom the adversary's weight of a fold is chosen."""
    return SPEAKERS[(SPEAKERS.index(target) + 1) % len(SPEAKERS)]


def data_of(sources: list[str], other: str, normalization: str, seed: int, **more: Any) -> Any:
    """The recipe with other data: sources, and one speaker who is read or adapted to."""
    changes = {
        "seed": seed,
        "data.split": f"{','.join(sources)}->{other}",
        "data.all_of_source": True,
        "data.normalization": normalization,
        "model.schedule": "constant",
        **more,
    }
    return resolve(override(read_recipe(RECIPE), changes))


def train(target: str, normalization: str, weight: float, seed: int) -> dict[str, float]:
    """Train once and test once.

    Args:
        target: Who is adapted to and tested.
        normalization: ``global`` or ``speaker``.
        weight: Of the adversary, 0 for none.
        seed: Of everything.
    """
    validator = validator_of(target)
    sources = [speaker for speaker in SPEAKERS if speaker not in (target, validator)]
    return _train(sources, target, validator, normalization, weight, seed, EPOCHS)


def stand_in(target: str, weight: float) -> dict[str, float]:
    """Train ``both`` with the validation speaker of a fold as the target, for 40 epochs."""
    validator = validator_of(target)
    sources = [speaker for speaker in SPEAKERS if speaker not in (target, validator)]
    return _train(sources, validator, None, "speaker", weight, 1, 40)


def _train(
    sources: list[str],
    target: str,
    validator: str | None,
    normalization: str,
    weight: float,
    seed: int,
    epochs: int,
) -> dict[str, float]:
    adversary = {
        "model.adversary_weight": weight,
        "model.adversary_length": 100,
        "data.target": bool(weight),
        **({"data.target_seconds": 20} if weight else {}),
    }
    experiment = data_of(sources, target, normalization, seed, **adversary)
    seed_everything(seed, verbose=False)
    start = time.process_time()
    datamodule = experiment.build_data()
    model = experiment.with_facts(datamodule.facts).build_model()
    datamodule.setup("fit")
    judge = None
    if validator is not None:
        judged = data_of(
            sources, validator, normalization, seed, **{"data.adaptation": "transductive"}
        )
        module = judged.build_data()
        module.setup("test")
        judge = module.test_dataloader()
    trainer = Trainer(
        max_epochs=epochs,
        gradient_clip_val=1.0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        check_val_every_n_epoch=epochs,
    )
    trainer.fit(model, datamodule.train_dataloader(), judge)
    seen = trainer.current_epoch
    fitted = metrics_of(trainer)
    trainer.test(model, datamodule=datamodule, verbose=False)
    return {
        "epochs": seen,
        "train_accuracy": fitted["train/accuracy"],
        "validation_accuracy": fitted.get("val/accuracy", 0.0),
        "target_accuracy": metrics_of(trainer)["test/accuracy"],
        "told": told(model, sources, target, normalization, seed),
        "seconds": time.process_time() - start,
    }


@torch.no_grad()
def told(model: Any, sources: list[str], target: str, normalization: str, seed: int) -> float:
    """How well target and sources are told apart by the LSTM's last states: balanced accuracy."""
    states, labels = [], []
    for kind in ("source", "target"):
        more = {"data.test_on": kind, "data.all_of_source": False}
        if kind == "target":
            more["data.adaptation"] = "transductive"
        module = data_of(sources, target, normalization, seed, **more).build_data()
        module.setup("test")
        model.eval()
        for batch in module.test_dataloader():
            read = model.network.encoder(batch["video"], batch["lengths"])
            states.append(read.segment.numpy())
            labels += [kind == "target"] * len(read.segment)
    classifier = LogisticRegression(max_iter=500, class_weight="balanced")
    found = cross_val_score(
        classifier, np.concatenate(states), np.array(labels), cv=5, scoring="balanced_accuracy"
    )
    return float(found.mean())


def chosen(rows: list[dict[str, str]], target: str) -> float | None:
    """The adversary's weight of a fold; None while it is not known."""
    found = {
        float(row["weight"]): float(row["target_accuracy"])
        for row in rows
        if row["stage"] == "choose" and row["target"] == target
    }
    if len(found) < len(WEIGHTS):
        return None
    return max(WEIGHTS, key=lambda weight: found[weight])


def plan(target: str, seed: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Key of the row, and arguments, of every run of a fold by a seed."""
    for weight in WEIGHTS:
        key = {
            "stage": "choose",
            "target": target,
            "condition": "both",
            "weight": weight,
            "seed": 1,
        }
        yield key, {"weight": weight}
    best = chosen(read_rows(ROWS), target)
    assert best is not None
    for condition, (normalization, adversarial) in CONDITIONS.items():
        weight = best if adversarial else 0.0
        key = {
            "stage": "table", "target": target, "condition": condition, "weight": weight,
            "seed": seed,
        }  # fmt: skip
        yield key, {"normalization": normalization, "weight": weight, "seed": seed}


def work(targets: list[str]) -> None:
    """Run what is not there yet."""
    quiet_lightning()
    torch.set_num_threads(1)
    for seed, target in itertools.product(SEEDS, targets):
        for key, arguments in plan(target, seed):
            if any(all(row[k] == str(key[k]) for k in _KEY) for row in read_rows(ROWS)):
                continue
            make = stand_in if key["stage"] == "choose" else train
            found = make(target, **arguments)
            add_row(ROWS, COLUMNS, {**key, **{k: f"{v:.4f}" for k, v in found.items()}})
            print(*key.values(), *(f"{v:.3f}" for v in found.values()), flush=True)


def by_target(rows: list[dict[str, str]], condition: str, name: str) -> dict[str, float]:
    """Each target's mean over its seeds."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["stage"] == "table" and row["condition"] == condition:
            found.setdefault(row["target"], []).append(float(row[name]))
    return {target: statistics.mean(values) for target, values in found.items()}


def report() -> str:
    """The table, in Markdown."""
    rows = read_rows(ROWS)
    table = [row for row in rows if row["stage"] == "table"]
    lines = [
        f"{today()}; {describe()}; {len(table)} of {len(SPEAKERS) * len(SEEDS) * len(CONDITIONS)} "
        f"runs, {sum(float(row['seconds']) for row in rows) / 60:.0f} minutes of one core.",
        "",
        "| condition | runs | target | validation speaker | sources (training) | target told from "
        "sources | less without the adversary |",
        "|---|---|---|---|---|---|---|",
    ]
    for condition, (normalization, adversarial) in CONDITIONS.items():
        own = [row for row in table if row["condition"] == condition]
        if not own:
            continue
        means = [
            interval([*by_target(table, condition, name).values()])
            for name in ("target_accuracy", "validation_accuracy", "train_accuracy", "told")
        ]
        added = ""
        if adversarial:
            mine = by_target(table, condition, "target_accuracy")
            without = "speaker" if normalization == "speaker" else "baseline"
            theirs = by_target(table, without, "target_accuracy")
            both = [mine[target] - theirs[target] for target in mine if target in theirs]
            added = interval(both) if both else ""
        lines.append(f"| {condition} | {len(own)} | {' | '.join(means)} | {added} |")
    lines += ["", f"| target | weight | {' | '.join(CONDITIONS)} |", "|---" * 6 + "|"]
    for target in SPEAKERS:
        cells = []
        for condition in CONDITIONS:
            values = [
                float(row["target_accuracy"])
                for row in table
                if (row["target"], row["condition"]) == (target, condition)
            ]
            cells.append(", ".join(f"{value:.2f}" for value in values))
        if any(cells):
            lines.append(f"| {target} | {chosen(rows, target)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("stage", choices=["run", "report"])
    parser.add_argument("--targets", nargs="+", choices=SPEAKERS, default=SPEAKERS)
    options = parser.parse_args()
    if options.stage == "report":
        print(report())
    else:
        work(options.targets)


if __name__ == "__main__":
    main()
