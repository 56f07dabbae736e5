"""Environment steps that udrl/cartpole and hpg/bitflip8 need until they are good enough, as rows.

    python benchmarks/peers/ours.py hpg udrl --seeds 1 2 3
    python benchmarks/peers/ours.py udrl udrl-more-updates udrl-fewer-episodes --seeds 11 12

The recipes as they are, or with the changes of ``AGENTS``, their steps counted and ended at the
first validation that is good enough; the rule stands in README.md.
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
from zoo.training.quiet import quiet_lightning
from zoo_hpg.episodes import Episodes

ASKED = {"hpg": ("bitflip8", "hpg/bitflip8", 4.6), "udrl": ("cartpole", "udrl/cartpole", 495.0)}
AGENTS: dict[str, dict[str, Any]] = {
    "hpg": {},
    "hpg-higher-rate": {"model.lr": 0.003},
    "udrl": {},
    "udrl-more-updates": {"data.updates_per_iteration": 200},
    "udrl-fewer-episodes": {"data.episodes_per_iteration": 5, "data.iterations_per_epoch": 30},
}


class UntilGood(Callback):
    """Counts the steps of training, and ends it.

    Args:
        asked: The mean return of a validation that is good enough.
    """

    def __init__(self, asked: float) -> None:
        self.asked = asked
        self.steps = 0
        self.value = 0.0
        self.reached: int | None = None

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        played = getattr(trainer.datamodule, "env_steps", None)
        self.steps = played or self.steps + int(Episodes(*batch).mask.sum())

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.value = float(trainer.callback_metrics["val/return"])
        if self.value >= self.asked and self.steps:
            self.reached = self.steps
            trainer.should_stop = True


def run(recipe: str, asked: float, changes: dict[str, Any], seed: int) -> UntilGood:
    """Train once."""
    experiment = resolve(override(read_recipe(recipe), {"seed": seed, **changes}))
    seed_everything(seed, verbose=False)
    datamodule = experiment.build_data()
    model = experiment.with_facts(datamodule.facts).build_model()
    watch = UntilGood(asked)
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
    parser.add_argument("agents", nargs="+", choices=list(AGENTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    options = parser.parse_args()
    quiet_lightning()
    torch.set_num_threads(1)
    for agent in options.agents:
        problem, recipe, asked = ASKED[agent.partition("-")[0]]
        for seed in options.seeds:
            if done(problem, agent, seed):
                continue
            start = time.process_time()
            watch = run(recipe, asked, AGENTS[agent], seed)
            spent = time.process_time() - start
            add(problem, agent, seed, watch.reached, watch.value, spent)
            print(agent, seed, watch.steps, watch.reached, watch.value, flush=True)


if __name__ == "__main__":
    main()
