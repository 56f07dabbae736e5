"""A trained policy at play, towards a goal of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from zoo.plugin import UsageError, at_least, plots
from zoo_hpg.environments import make_environment
from zoo_hpg.episodes import rollout
from zoo_hpg.plots import draw_episodes
from zoo_rl.plots import save_gif
from zoo_rl.seeding import generator

if TYPE_CHECKING:
    from zoo_hpg.model import HindsightPolicyGradient


def play_to_goal(
    model: HindsightPolicyGradient,
    folder: Path | None,
    goal: str | None,
    episodes: int,
    greedy: bool,
    seed: int,
) -> list[dict[str, Any]]:
    """Play, and draw it.

    Args:
        model: The policy.
        folder: Where ``episodes.png`` is written, and ``episode-1.gif`` and on of an environment
            that has frames; None: nothing is.
        goal: Numbers with commas between; None draws goals.
        episodes: How many.
        greedy: Take the likeliest actions instead of drawing them.
        seed: Seed of starts, drawn goals and chance.

    Returns:
        A row for each episode: goal, whether it was reached, after how many steps, the return,
        and the success rate of all.

    Raises:
        UsageError: the goal lies outside the environment's goals, there is to be no episode, or
            the seed is negative.
    """
    at_least("--episodes", episodes, 1)
    at_least("--seed", seed, 0)
    environment = make_environment(model.environment)
    goals = None
    if goal is not None:
        given = environment.read_goal(read_numbers(goal))
        goals = given.to(model.device).expand(episodes, -1)
    frames: list[Any] | None = [] if folder and hasattr(environment, "frames") else None
    if frames is not None:
        environment.frames = frames
    random = generator(seed, device=str(model.device))
    played = rollout(
        environment, lambda goals: model.actor(goals, random, greedy), episodes, random, goals
    )
    played = type(played)(*(each.cpu() for each in played))
    reached = played.returns > 0
    if folder:
        plots.save(draw_episodes(environment, played), folder / "episodes.png")
        for number in range(episodes if frames else 0):
            assert frames is not None
            length = int(played.mask[number].sum()) + 1
            shown = [each[number] for each in frames[:length]]
            save_gif(shown, folder / f"episode-{number + 1}.gif", fps=5)
    return [
        {
            "goal": ",".join(f"{number:g}" for number in played.goals[index].tolist()),
            "reached": bool(reached[index]),
            "steps": int(played.mask[index].sum()),
            "return": float(played.returns[index]),
            "success_rate": float(reached.double().mean()),
        }
        for index in range(episodes)
    ]


def read_numbers(text: str) -> list[float]:
    """Numbers with commas between.

    Raises:
        UsageError: there is something else.
    """
    try:
        return torch.tensor([float(word) for word in text.split(",")]).tolist()
    except ValueError:
        raise UsageError(
            f"the goal {text!r} is not of numbers with commas between, such as 3,7"
        ) from None
