"""Environment steps that hpg/bitflip8 needs until it is good enough, as rows.

    python benchmarks/peers/hpg.py --seeds 1 2 3

The recipe as it is, its steps counted and ended at the first validation that is good enough; the
rule stands in README.md.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from table import add, done

from zoo.recipes.experiment import resolve
from zoo.recipes.recipe import override, read_recipe
from zoo.training.trainer import quiet_lightning
from zoo_hpg.episodes import Episodes

ASKED = 4.6


class UntilGood(Callback):
    """Counts the steps of training, and ends it."""

    def __init__(self) -> None:
        self.steps = 0
        self.value = 0.0
        self.reached: int | None = None

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.steps += int(Episodes(*batch).mask.sum())

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.value = float(trainer.callback_metrics["val/return"])
        if self.value >= ASKED and self.steps:
            self.reached = self.steps
            trainer.should_stop = True


def run(seed: int) -> UntilGood:
    """Train once."""
    experiment = resolve(override(read_recipe("hpg/bitflip8"), {"seed": seed}))
    seed_everything(seed, verbose=False)
    datamodule = experiment.build_data()
    model = experiment.with_facts(datamodule.facts).build_model()
    watch = UntilGood()
    trainer = Trainer(
        max_epochs=experiment.recipe.trainer["max_epochs"],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[watch],
    )
    trainer.fit(model, datamodule=datamodule)
    return watch


def main() -> None:
    """Run what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    quiet_lightning()
    torch.set_num_threads(1)
    for seed in parser.parse_args().seeds:
        if done("bitflip8", "hpg", seed):
            continue
        start = time.process_time()
        watch = run(seed)
        spent = time.process_time() - start
        add("bitflip8", "hpg", seed, watch.reached, watch.value, spent)
        print(seed, watch.steps, watch.reached, watch.value, flush=True)


if __name__ == "__main__":
    main()
