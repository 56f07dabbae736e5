"""One speaker of AVLetters left out: does adversarial training help to read the new one?

    ZOO_DATA=DIR python benchmarks/adversarial.py choose   # settings, on source speakers
    ZOO_DATA=DIR python benchmarks/adversarial.py table    # all eight speakers, three seeds
    ZOO_DATA=DIR python benchmarks/adversarial.py longer   # the baseline with more epochs
    python benchmarks/adversarial.py report                # the tables, from the rows so far

Every run is a row of benchmarks/results/lipreading-adversarial.csv, written when it ends; what
is there is not run again. A second process with ``--backwards`` meets the first in the middle.

The rule, written down before any target was read:

- Net, optimizer, number of epochs and batch size are those of the recipe
  lipreading/lipreader-avletters-adversarial, for every condition. They are not tuned here; the
  net's sizes come from trials on repetitions 1 and 2 of all speakers.
- The speakers are put aside in pairs (1st and 2nd of the sorted names, 3rd and 4th, ...). The
  adversary's settings for both speakers of a pair are chosen on the other six alone: two of
  these stand in for a target (the first and the fourth of them), each with the other five as its
  sources, one seed. The candidate of ``ADVERSARIAL`` with the highest mean accuracy on them is
  taken; the first one of equals. Pseudo-targets are adapted to and tested on all three
  repetitions, as there are only 26 letters in one.
- Then each speaker is left out in turn, with the settings of its pair and the seeds 1, 2, 3.
  Adaptation sees repetitions 1 and 2 of the target without labels; repetition 3 is tested, once,
  after the last epoch. Nothing is stopped early.
- Conditions: ``baseline`` (weight 0, one normalization for all), ``speaker`` (weight 0, each
  speaker's own normalization, which needs unlabelled video of the target too), ``adversarial``
  (the same normalization, and the adversary).

Added after the table had been seen, because the baseline had hardly learnt its source speakers:
``longer`` trains it for four times as many epochs, with the first seed.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import math
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from machine import describe, today
from rows import add_row, read_rows

from zoo.recipes.experiment import resolve
from zoo.recipes.recipe import override, read_recipe
from zoo.training.csv_logger import metrics_of
from zoo.training.quiet import quiet_lightning
from zoo_lipreading.data import avletters

HERE = Path(__file__).parent
ROWS = HERE / "results" / "lipreading-adversarial.csv"
RECIPE = "lipreading/lipreader-avletters-adversarial"
SPEAKERS = ["Anya", "Bill", "Faye", "John", "Kate", "Nicola", "Stephen", "Yi"]
SEEDS = (1, 2, 3)
CANDIDATES: dict[str, dict[str, Any]] = {
    "none": {"weight": 0.0},
    "ff-segment-0.3": {"attach": "1", "level": "segment", "weight": 0.3},
    "ff-segment-1": {"attach": "1", "level": "segment", "weight": 1.0},
    "lstm-0.1": {"attach": "lstm", "level": "segment", "weight": 0.1},
}
ADVERSARIAL = [name for name in CANDIDATES if name != "none"]
CONDITIONS = {
    "baseline": ("global", False),
    "speaker": ("speaker", False),
    "adversarial": ("speaker", True),
}
REPORTED = ("baseline", "baseline-longer", "speaker", "adversarial")
COLUMNS = (
    "stage", "group", "target", "condition", "candidate", "seed", "source_accuracy",
    "target_accuracy", "adversary_accuracy", "train_accuracy", "seconds",
)  # fmt: skip
_KEY = COLUMNS[:6]

_read_lips = functools.cache(avletters.read_lips)
# Every run reads the same 624 files.
avletters.read_lips = lambda path, size: _read_lips(path, tuple(size))


def group_of(speaker: str) -> str:
    """The pair that is put aside together."""
    index = SPEAKERS.index(speaker) // 2 * 2
    return "+".join(SPEAKERS[index : index + 2])


def run(
    split: str, normalization: str, candidate: str, seed: int, longer: int = 1, **data: Any
) -> dict[str, float]:
    """Train and test once; accuracies of source (validation), target and adversary."""
    adversary = {f"model.adversary_{k}": v for k, v in CANDIDATES[candidate].items()}
    changes = {
        "seed": seed,
        "data.split": split,
        "data.normalization": normalization,
        "data.target": bool(CANDIDATES[candidate]["weight"]),
        **{f"data.{key}": value for key, value in data.items()},
        **adversary,
    }
    experiment = resolve(override(read_recipe(RECIPE), changes))
    seed_everything(seed, verbose=False)
    start = time.process_time()
    datamodule = experiment.build_data()
    model = experiment.with_facts(datamodule.facts).build_model()
    epochs = longer * experiment.recipe.trainer["max_epochs"]
    trainer = Trainer(
        max_epochs=epochs,
        gradient_clip_val=experiment.recipe.trainer["gradient_clip_val"],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        check_val_every_n_epoch=epochs,
    )
    trainer.fit(model, datamodule=datamodule)
    found = metrics_of(trainer)
    trainer.test(model, datamodule=datamodule, verbose=False)
    found |= metrics_of(trainer)
    return {
        "source_accuracy": found["val/accuracy"],
        "target_accuracy": found["test/accuracy"],
        "adversary_accuracy": found.get("train/adversary_accuracy", math.nan),
        "train_accuracy": found["train/accuracy"],
        "seconds": time.process_time() - start,
    }


def plan_choose() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Key of the row, and arguments of ``run``, of every run that chooses settings."""
    for group in dict.fromkeys(map(group_of, SPEAKERS)):
        rest = [speaker for speaker in SPEAKERS if group_of(speaker) != group]
        for target in (rest[0], rest[3]):
            sources = ",".join(speaker for speaker in rest if speaker != target)
            for candidate in ADVERSARIAL:
                key = {
                    "stage": "choose", "group": group, "target": target,
                    "condition": "adversarial", "candidate": candidate, "seed": 1,
                }  # fmt: skip
                yield key, {
                    "split": f"{sources}->{target}", "normalization": "speaker",
                    "candidate": candidate, "seed": 1, "adaptation": "transductive",
                }  # fmt: skip


def plan_table(rows: list[dict[str, str]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The same of the table; its settings come from the rows of ``choose``."""
    for seed, target in itertools.product(SEEDS, SPEAKERS):
        group = group_of(target)
        for condition, (normalization, adversarial) in CONDITIONS.items():
            candidate = chosen(rows, group) if adversarial else "none"
            key = {
                "stage": "table", "group": group, "target": target,
                "condition": condition, "candidate": candidate, "seed": seed,
            }  # fmt: skip
            yield key, {
                "split": f"leave-out:{target}", "normalization": normalization,
                "candidate": candidate, "seed": seed,
            }  # fmt: skip


def plan_longer() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The same of the baseline with four times the epochs."""
    for seed, target in itertools.product(SEEDS[:1], SPEAKERS):
        key = {
            "stage": "table", "group": group_of(target), "target": target,
            "condition": "baseline-longer", "candidate": "none", "seed": seed,
        }  # fmt: skip
        yield key, {
            "split": f"leave-out:{target}", "normalization": "global",
            "candidate": "none", "seed": seed, "longer": 4,
        }  # fmt: skip


def scores(rows: list[dict[str, str]], group: str) -> dict[str, list[float]]:
    """Candidate to its accuracies on the pseudo-targets of a pair."""
    found: dict[str, list[float]] = {candidate: [] for candidate in CANDIDATES}
    for row in rows:
        if row["stage"] == "choose" and row["group"] == group:
            found[row["candidate"]].append(float(row["target_accuracy"]))
    return found


def chosen(rows: list[dict[str, str]], group: str) -> str:
    """The candidate with an adversary that the rule takes for a pair of speakers."""
    found = scores(rows, group)
    missing = [candidate for candidate in ADVERSARIAL if len(found[candidate]) < 2]
    if missing:
        raise SystemExit(f"{group}: {', '.join(missing)} not run yet; run `choose` first")
    return max(ADVERSARIAL, key=lambda candidate: statistics.mean(found[candidate]))


def work(stage: str, backwards: bool, seconds: float) -> bool:
    """Run what is not there yet, looking again before each run; False if time ran out."""
    quiet_lightning()
    torch.set_num_threads(1)
    if stage == "table":
        plan = list(plan_table(read_rows(ROWS)))
    else:
        plan = list(plan_choose() if stage == "choose" else plan_longer())
    for key, arguments in reversed(plan) if backwards else plan:
        if is_done(key):
            continue
        if time.process_time() > seconds:
            return False
        found = run(**arguments)
        if not is_done(key):
            add_row(
                ROWS, COLUMNS, {**key, **{name: f"{value:.4f}" for name, value in found.items()}}
            )
            print(*key.values(), *(f"{value:.3f}" for value in found.values()), flush=True)
    return True


def is_done(key: dict[str, Any]) -> bool:
    """Whether a run has its row."""
    return any(all(row[name] == str(key[name]) for name in _KEY) for row in read_rows(ROWS))


def interval(values: list[float]) -> str:
    """Mean and 95 % interval of the mean, by Student's t."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:.3f}"
    quantile = _T[min(len(values) - 1, len(_T) - 1)]
    half = quantile * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:.3f} ± {half:.3f}"


_T = (math.nan, 12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306)
"""Quantiles of Student's t by degrees of freedom."""


def report() -> str:
    """The tables, in Markdown."""
    rows = read_rows(ROWS)
    seconds = sum(float(row["seconds"]) for row in rows)
    lines = [
        f"{today()}; {describe()}; {len(rows)} runs, {seconds / 60:.0f} minutes of one core.",
        "",
        "Choosing, on source speakers (mean accuracy on two pseudo-targets, 78 clips each):",
        "",
        "| put aside | " + " | ".join(ADVERSARIAL) + " | taken |",
        "|---" * (len(ADVERSARIAL) + 2) + "|",
    ]
    groups = dict.fromkeys(map(group_of, SPEAKERS))
    for group in groups:
        found = scores(rows, group)
        means = [f"{statistics.mean(found[name]):.3f}" for name in ADVERSARIAL]
        lines.append(f"| {group} | " + " | ".join(means) + f" | {chosen(rows, group)} |")
    table = [row for row in rows if row["stage"] == "table"]
    lines += [
        "",
        "The table (each speaker's figure is the mean of its seeds; the mean and the 95 % interval "
        "are over the eight speakers):",
        "",
        "| condition | target | source (validation) | adversary | relative to baseline "
        "| difference from speaker, paired |",
        "|---|---|---|---|---|---|",
    ]
    base = 0.0
    plain = by_speaker([row for row in table if row["condition"] == "speaker"], "target_accuracy")
    for condition in REPORTED:
        own = [row for row in table if row["condition"] == condition]
        if not own:
            continue
        means = {name: by_speaker(own, name) for name in COLUMNS[6:9]}
        target = statistics.mean(means["target_accuracy"])
        base = base or target
        adversary = means["adversary_accuracy"]
        told = interval(adversary) if not math.isnan(adversary[0]) else ""
        paired = ""
        if condition != "speaker" and len(plain) == len(means["target_accuracy"]):
            pairs = zip(means["target_accuracy"], plain, strict=True)
            paired = interval([mine - theirs for mine, theirs in pairs])
        lines.append(
            f"| {condition} | {interval(means['target_accuracy'])} | "
            f"{interval(means['source_accuracy'])} | {told} | {target / base - 1:+.0%} | {paired} |"
        )
    lines += [
        "",
        "| target | " + " | ".join(REPORTED) + " |",
        "|---" * (len(REPORTED) + 1) + "|",
    ]
    for target in SPEAKERS:
        cells = []
        for condition in REPORTED:
            values = [
                float(row["target_accuracy"])
                for row in table
                if row["condition"] == condition and row["target"] == target
            ]
            cells.append(
                f"{statistics.mean(values):.3f} ({', '.join(f'{v:.2f}' for v in values)})"
                if values
                else ""
            )
        lines.append(f"| {target} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def by_speaker(rows: list[dict[str, str]], name: str) -> list[float]:
    """Each target's mean over its seeds."""
    found = []
    for target in SPEAKERS:
        values = [float(row[name]) for row in rows if row["target"] == target]
        if values:
            found.append(statistics.mean(values))
    return found


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("stage", choices=["choose", "table", "longer", "report"])
    parser.add_argument("--backwards", action="store_true", help="from the last run to the first")
    parser.add_argument("--seconds", type=float, default=math.inf, help="of processor time")
    options = parser.parse_args()
    if options.stage == "report":
        print(report())
        return
    if not work(options.stage, options.backwards, options.seconds):
        raise SystemExit(3)  # to be called again


if __name__ == "__main__":
    main()
