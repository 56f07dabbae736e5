"""Plots of policies at work."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zoo_hpg.environments.bit_flipping import BitFlipping
from zoo_hpg.environments.rooms import Rooms
from zoo_hpg.episodes import Episodes
from zoo_rl.plots import learning_curve

MAX_EPISODES = 10
"""Episodes on one plot."""


def draw_episodes(environment: Any, episodes: Episodes) -> Figure:
    """The way of each episode to its goal, up to ten of them.

    Args:
        environment: Where they were played.
        episodes: On the CPU.
    """
    count = min(MAX_EPISODES, len(episodes.mask))
    columns = min(5, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(2.4 * columns, 2.7 * rows), layout="constrained")
    for index in range(count):
        axes = figure.add_subplot(rows, columns, index + 1)
        steps = int(episodes.mask[index].sum())
        achieved = episodes.achieved[index, : steps + 1].numpy()
        goal = episodes.goals[index].numpy()
        if isinstance(environment, Rooms):
            _path_in_room(axes, environment, achieved, goal)
        elif isinstance(environment, BitFlipping):
            _bits(axes, achieved, goal)
        else:
            _path(axes, achieved, goal)
        reached = float(episodes.returns[index]) > 0
        axes.set_title(f"reached in {steps}" if reached else "not reached", fontsize=9)
    return figure


def _path_in_room(axes: Axes, environment: Rooms, achieved: Any, goal: Any) -> None:
    axes.imshow(~environment.free.numpy(), cmap="Grays", vmax=1.5)
    _path(axes, achieved, goal)


def _path(axes: Axes, achieved: Any, goal: Any) -> None:
    """Rows downwards and columns to the right, or x and y of a table."""
    axes.plot(achieved[:, 1], achieved[:, 0], "o-", markersize=3, color="C0")
    axes.plot(achieved[0, 1], achieved[0, 0], "s", color="C2")
    axes.plot(goal[1], goal[0], "*", markersize=12, color="C3")
    axes.set(xticks=[], yticks=[])


def _bits(axes: Axes, achieved: Any, goal: Any) -> None:
    """A row for each state, the goal below a line."""
    rows = [*achieved, goal]
    axes.imshow(rows, cmap="Grays", vmin=0, vmax=1, aspect="auto")
    axes.axhline(len(rows) - 1.5, color="C3", linewidth=2)
    axes.set(xticks=[], yticks=[0, len(rows) - 1], yticklabels=["start", "goal"])


def draw_learning_curve(evaluations: list[float], optimal_return: float | None) -> Figure:
    """Mean returns of all evaluations, below that of the best policy.

    Args:
        evaluations: From the one before training on.
        optimal_return: None where it is not known.
    """
    best = {}
    if optimal_return is not None:
        best[f"best possible: {optimal_return:.2f}"] = optimal_return
    points = [(float(number), value) for number, value in enumerate(evaluations)]
    return learning_curve({"greedy": [points]}, best, "evaluation", "mean return")
