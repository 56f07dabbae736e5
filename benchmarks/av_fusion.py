"""Which fusion is at least as good as its better stream in noise, found on validation clips?

    python benchmarks/av_fusion.py choose   # train the candidates, one after the other
    python benchmarks/av_fusion.py report   # the table, from the rows so far

For lipreading/av-fusion-talking-mouths. Every run is a row of benchmarks/results/av-fusion.csv,
written when it ends; what is there is not run again.

The rule, written down before the first run:

- Each of ``CANDIDATES`` is trained with the seeds 11, 12 and 13, which no recorded row of the
  recipe has, on three quarters of the training clips. The other quarter is read at every noise
  level of the recipe; the test clips are not read.
- The margin at a level is the fusion's accuracy less that of the better single stream.
- Taken is the candidate whose smallest margin over seeds and levels is largest; of equals that of
  the largest mean margin; of equals the first, which is the recipe's own of before 2026-11-27.
"""

from __future__ import annotations

import argparse
import statistics
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

ROWS = Path(__file__).parent / "results" / "av-fusion.csv"
RECIPE = "lipreading/av-fusion-talking-mouths"
SEEDS = (11, 12, 13)
CANDIDATES: dict[str, dict[str, Any]] = {
    "late-0.5": {"model.fusion": "late", "model.noise": 0.5, "model.noise_range": [-10, 20]},
    "late-0.75": {"model.fusion": "late", "model.noise": 0.75, "model.noise_range": [-20, 20]},
    "gated-0.5": {"model.fusion": "gated", "model.noise": 0.5, "model.noise_range": [-10, 20]},
    "gated-0.75": {"model.fusion": "gated", "model.noise": 0.75, "model.noise_range": [-20, 20]},
    "gated-0.75-longer": {
        "model.fusion": "gated",
        "model.noise": 0.75,
        "model.noise_range": [-20, 20],
        "trainer.max_epochs": 30,
    },
}
COLUMNS = ("candidate", "seed", "level", "fusion", "video", "audio")


def run(candidate: str, seed: int) -> dict[str, dict[str, float]]:
    """Train once and read the validation clips: level to accuracies."""
    changes = {"seed": seed, "data.val_fraction": 0.25, **CANDIDATES[candidate]}
    experiment = resolve(override(read_recipe(RECIPE), changes))
    seed_everything(seed, verbose=False)
    datamodule = experiment.build_data()
    model = experiment.with_facts(datamodule.facts).build_model()
    trainer = Trainer(
        max_epochs=experiment.recipe.trainer["max_epochs"],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(model, datamodule=datamodule)
    trainer.test(model, dataloaders=datamodule.val_dataloader(), verbose=False)
    found = metrics_of(trainer)
    video = found["test/video_accuracy"]
    levels = {"clean": ""} | {f"{snr:g}dB": f"/{snr:g}dB" for snr in model.snrs[1:]}
    return {
        level: {
            "fusion": found[f"test/accuracy{name}"],
            "video": video,
            "audio": found[f"test/audio_accuracy{name}"],
        }
        for level, name in levels.items()
    }


def choose() -> None:
    """Run what is not there yet."""
    quiet_lightning()
    torch.set_num_threads(1)
    for candidate in CANDIDATES:
        for seed in SEEDS:
            done = {(row["candidate"], row["seed"]) for row in read_rows(ROWS)}
            if (candidate, str(seed)) in done:
                continue
            for level, found in run(candidate, seed).items():
                values = {name: f"{value:.4f}" for name, value in found.items()}
                add_row(
                    ROWS, COLUMNS, {"candidate": candidate, "seed": seed, "level": level, **values}
                )


def margins(rows: list[dict[str, str]], candidate: str) -> list[float]:
    """Fusion less the better stream, at each seed and level."""
    return [
        float(row["fusion"]) - max(float(row["video"]), float(row["audio"]))
        for row in rows
        if row["candidate"] == candidate
    ]


def taken(rows: list[dict[str, str]]) -> str:
    """The candidate that the rule takes."""

    def rank(candidate: str) -> tuple[float, float]:
        found = margins(rows, candidate)
        return round(min(found), 4), round(statistics.mean(found), 4)

    return max(CANDIDATES, key=rank)


def report() -> str:
    """The table, in Markdown."""
    rows = read_rows(ROWS)
    lines = [
        f"{today()}; {describe()}.",
        "",
        "| candidate | smallest margin | mean margin | fusion at -10 dB, by seed |",
        "|---|---|---|---|",
    ]
    for candidate in CANDIDATES:
        found = margins(rows, candidate)
        worst = [r["fusion"] for r in rows if (r["candidate"], r["level"]) == (candidate, "-10dB")]
        lines.append(
            f"| {candidate} | {min(found):+.3f} | {statistics.mean(found):+.3f} | "
            f"{', '.join(worst)} |"
        )
    return "\n".join([*lines, "", f"Taken: {taken(rows)}"])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("stage", choices=["choose", "report"])
    if parser.parse_args().stage == "choose":
        choose()
    else:
        print(report())


if __name__ == "__main__":
    main()
