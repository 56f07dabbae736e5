"""Plots of policies at work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from zoo_hpg.environments.bit_flipping import BitFlipping
from zoo_hpg.environments.rooms import Rooms
from zoo_hpg.episodes import Episodes
from zoo_rl.plots import learning_curve

MAX_EPISODES = 10
"""Episodes on one plot."""


def draw_episodes(environment: Any, episodes: Episodes) -> Figure:
    """The way of each episode to its goal, and what the signs mean. Of more than ten the five of
    lowest return are above the five of highest.

    Args:
        environment: Where they were played.
        episodes: On the CPU.
    """
    count = min(MAX_EPISODES, len(episodes.mask))
    columns = min(5, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(max(2.4 * columns, 4.8), 2.7 * rows + 0.5), layout="constrained")
    chosen = list(range(count))
    if len(episodes.mask) > count:
        order = episodes.returns.argsort(stable=True).tolist()
        chosen = order[: count // 2] + order[-(count // 2) :][::-1]
        figure.suptitle("the worst episodes above, the best below", fontsize=10)
    for place, index in enumerate(chosen):
        axes = figure.add_subplot(rows, columns, place + 1)
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
        number = f"{steps} step" + "s" * (steps != 1)
        axes.set_title(
            f"reached in {number}" if reached else f"not reached in {number}", fontsize=9
        )
    signs = _signs_of_bits() if isinstance(environment, BitFlipping) else _signs_of_paths()
    if isinstance(environment, Rooms):
        signs.append(Patch(facecolor=_WALL, label="wall"))
    figure.legend(handles=signs, loc="outside lower center", ncols=len(signs), fontsize=9)
    return figure


_WALL = "0.35"
_GOAL, _START, _WAY = "C3", "C2", "C0"


def _path_in_room(axes: Axes, environment: Rooms, achieved: Any, goal: Any) -> None:
    axes.imshow(~environment.free.numpy(), cmap="Grays", vmax=1.5)
    _path(axes, achieved, goal)


def _path(axes: Axes, achieved: Any, goal: Any) -> None:
    """Rows downwards and columns to the right, or x and y of a table."""
    axes.plot(achieved[:, 1], achieved[:, 0], "o-", markersize=3, color=_WAY)
    axes.plot(achieved[0, 1], achieved[0, 0], "s", color=_START)
    axes.plot(goal[1], goal[0], "*", markersize=12, color=_GOAL)
    axes.set(xticks=[], yticks=[])


def _signs_of_paths() -> list[Any]:
    def sign(label: str, **style: Any) -> Line2D:
        return Line2D([], [], label=label, **style)

    return [
        sign("start", color=_START, marker="s", linestyle=""),
        sign("way, a point a step", color=_WAY, marker="o", markersize=3),
        sign("goal", color=_GOAL, marker="*", markersize=12, linestyle=""),
    ]


def _bits(axes: Axes, achieved: Any, goal: Any) -> None:
    """A row for each state, the goal below a line."""
    rows = [*achieved, goal]
    axes.imshow(rows, cmap="Grays", vmin=0, vmax=1, aspect="auto")
    axes.axhline(len(rows) - 1.5, color=_GOAL, linewidth=2)
    steps = sorted({0, len(rows) - 2})
    axes.set_yticks([*steps, len(rows) - 1], [*(f"step {step}" for step in steps), "goal"])
    bits = len(goal)
    axes.set_xticks(range(0, bits, max(1, bits // 8)))
    axes.set_xticklabels([str(int(tick) + 1) for tick in axes.get_xticks()])
    axes.tick_params(labelsize=8)
    axes.set_xlabel("bit", fontsize=8)


def _signs_of_bits() -> list[Any]:
    return [
        Patch(facecolor="black", label="bit is 1"),
        Patch(facecolor="white", edgecolor="black", label="bit is 0"),
        Line2D(
            [], [], color=_GOAL, linewidth=2, label="above: a row for each step; below: the goal"
        ),
    ]


def draw_learning_curve(
    evaluations: list[float], optimal_return: float | None, episodes: Sequence[int] = ()
) -> Figure:
    """Mean returns of all evaluations, below that of the best policy.

    Args:
        evaluations: From the one before training on.
        optimal_return: None where it is not known.
        episodes: Training episodes before each evaluation; without, evaluations are counted.
    """
    best = {}
    if optimal_return is not None:
        best[f"best possible: {optimal_return:.2f}"] = optimal_return
    counted = len(episodes) == len(evaluations)
    places = episodes if counted else range(len(evaluations))
    points = [(float(place), value) for place, value in zip(places, evaluations, strict=True)]
    label = "training episodes" if counted else "evaluation"
    figure = learning_curve(
        {"greedy policy": [points]}, best, label, "mean return of an evaluation"
    )
    figure.axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
