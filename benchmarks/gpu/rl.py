"""Small nets of reinforcement learning: the same work on the CPU and on the GPU."""

from __future__ import annotations

from typing import Any

import torch

from gpu.cases import HERE
from gpu.record import CUDA, attempt, finish
from gpu.timing import host_waits, kernels, median
from zoo.recipes.experiment import resolve
from zoo.recipes.recipe import override, read_recipe
from zoo.training.train import prepare_data
from zoo_hpg.episodes import Episodes, rollout
from zoo_hpg.policy_gradient.hindsight import active_goals
from zoo_rl.seeding import generator

DEVICES = ("cpu", "cuda") if CUDA else ("cpu",)
EPISODES = (2, 16, 256, 4096) if CUDA else (2, 16)
GOALS = 64
"""The most goals that are learned from, so that large batches fit."""
BATCHES, ROWS = (256, 768, 4096), (20, 4096)
"""Of observations, in an update and in a choice of actions."""


def main() -> None:
    """Hindsight policy gradients, then Upside-Down RL."""
    for recipe in ("hpg/bitflip16", "hpg/four-rooms"):
        for device in DEVICES:
            for count in EPISODES:
                name = f"{recipe}, {count} episodes, {device}"
                attempt("rl", name, lambda r=recipe, d=device, c=count: hindsight(r, d, c))
    for device in DEVICES:
        attempt("rl", f"udrl/lunarlander, {device}", lambda d=device: upside_down(d))
    finish()


def hindsight(recipe: str, device: str, count: int) -> dict[str, Any]:
    """Play a batch of episodes, and learn from it.

    Args:
        recipe: Of hindsight policy gradients.
        device: Where both happen.
        count: Episodes, side by side.
    """
    data, model = built(recipe, device)
    random = generator(0, count, device=device)

    def played() -> Episodes:
        return rollout(data.environment, lambda g: model.actor(g, random), count, random)

    episodes = played()
    goals = active_goals(episodes)[:GOALS]

    def update() -> None:
        model.zero_grad()
        (-model.surrogate_objective(episodes, goals)).backward()

    facts = {
        "goals": len(goals),
        "play_ms": round(1e3 * median(played, 0.5, 1, 20), 3),
        "update_ms": round(1e3 * median(update, 0.6, 1, 20), 3),
    }
    if device == "cpu" or count != EPISODES[1]:
        return facts
    return facts | {
        f"{what}_{key}": value
        for what, work in (("play", played), ("update", update))
        for key, value in (kernels(work) | host_waits(work)).items()
    }


def upside_down(device: str) -> dict[str, Any]:
    """Updates of the behavior function, and choices for observations that lie on the CPU."""
    _, model = built("udrl/lunarlander", device)
    facts = {}
    for count in BATCHES:
        observations = torch.rand(count, *model.observation_shape, device=device)
        commands = torch.rand(count, 2, device=device)

        def update(observations=observations, commands=commands) -> None:
            model.zero_grad()
            model.network(observations, commands).square().mean().backward()

        facts[f"update_ms_{count}"] = round(1e3 * median(update, 0.4, 2, 200), 4)
    for count in ROWS:
        observations = torch.rand(count, *model.observation_shape)
        commands = torch.rand(count, 2)

        @torch.inference_mode()
        def choose(observations=observations, commands=commands) -> None:
            model.network(observations.to(device), commands.to(device)).cpu()

        facts[f"choice_ms_{count}"] = round(1e3 * median(choose, 0.4, 2, 200), 4)
    return facts


def built(recipe: str, device: str) -> tuple[Any, Any]:
    """Datamodule and model of a recipe, the model on the device."""
    experiment = resolve(override(read_recipe(recipe), HERE))
    data, facts = prepare_data(experiment)
    return data, experiment.with_facts(facts).build_model().to(device)


if __name__ == "__main__":
    main()
