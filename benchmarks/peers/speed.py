"""Environment steps of LunarLander-v3 that a training makes in a second of one core, as a row.

    peers/bin/python benchmarks/peers/speed.py ppo     # stable-baselines3, rl-zoo3's settings
    python benchmarks/peers/speed.py udrl              # the recipe udrl/lunarlander

Playing and learning from the first step on, without evaluations, in seconds of the processor of one
thread. Later episodes are longer, of which UDRL makes more steps between its updates.
"""

from __future__ import annotations

import argparse
import time

import torch
from table import add, done

STEPS = {"ppo": 49_152, "udrl": 200_000}


def ppo() -> int:
    """Train; the steps that were made."""
    from stable_baselines3 import PPO  # of the peers' environment
    from stable_baselines3.common.env_util import make_vec_env
    from steps import arguments, settings

    found = settings("ppo", "LunarLander-v3")
    env = make_vec_env("LunarLander-v3", n_envs=found["n_envs"], seed=1)
    model = PPO(found["policy"], env, seed=1, device="cpu", **arguments(found))
    model.learn(STEPS["ppo"])
    return int(model.num_timesteps)


def udrl() -> int:
    """Train; the steps that were made."""
    from lightning.pytorch import Trainer, seed_everything

    from zoo.recipes.experiment import resolve
    from zoo.recipes.recipe import override, read_recipe

    changes = {"data.max_env_steps": STEPS["udrl"]}
    experiment = resolve(override(read_recipe("udrl/lunarlander"), changes))
    seed_everything(1, verbose=False)
    datamodule = experiment.build_data()
    model = experiment.with_facts(datamodule.facts).build_model()
    trainer = Trainer(
        max_epochs=-1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
    )
    trainer.fit(model, datamodule=datamodule)
    return int(datamodule.env_steps)


def main() -> None:
    """Run what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("agent", choices=list(STEPS))
    agent = parser.parse_args().agent
    if done("lander-speed", agent, 1):
        return
    torch.set_num_threads(1)
    start = time.process_time()
    made = {"ppo": ppo, "udrl": udrl}[agent]()
    spent = time.process_time() - start
    add("lander-speed", agent, 1, made, made / spent, spent)
    print(agent, made, round(made / spent))


if __name__ == "__main__":
    main()
