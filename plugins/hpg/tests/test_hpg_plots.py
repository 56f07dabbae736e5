"""Plots that a newcomer can read."""

from __future__ import annotations

import torch

from zoo_hpg.environments import make_environment
from zoo_hpg.episodes import Actor, rollout
from zoo_hpg.plots import draw_episodes, draw_learning_curve


def played(name: str, count: int) -> tuple[object, object]:
    """Episodes that always take the first action."""
    environment = make_environment({"name": name})
    random = torch.Generator().manual_seed(0)

    def actor(goals: torch.Tensor) -> Actor:
        zeros = torch.zeros(len(goals))
        return lambda observations: (zeros.long(), zeros)

    return environment, rollout(environment, actor, count, random)


def labels(figure: object) -> list[str]:
    (legend,) = figure.legends  # type: ignore[attr-defined]
    return [text.get_text() for text in legend.get_texts()]


def test_bits_say_what_rows_columns_and_colors_are() -> None:
    figure = draw_episodes(*played("bit-flipping", 3))  # type: ignore[arg-type]
    assert labels(figure)[:2] == ["bit is 1", "bit is 0"]
    assert {axes.get_xlabel() for axes in figure.axes} == {"bit"}
    ticks = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert (ticks[0], ticks[-1]) == ("step 0", "goal")


def test_rooms_say_what_their_signs_are() -> None:
    figure = draw_episodes(*played("four-rooms", 12))  # type: ignore[arg-type]
    assert labels(figure) == ["start", "way, a point a step", "goal", "wall"]
    assert len(figure.axes) == 10


def test_the_worst_episodes_stand_above_the_best() -> None:
    environment, episodes = played("bit-flipping", 40)
    figure = draw_episodes(environment, episodes)  # type: ignore[arg-type]
    reached = [not axes.get_title().startswith("not") for axes in figure.axes]
    assert reached == sorted(reached)
    assert sum(reached[5:]) == min(5, int((episodes.returns > 0).sum()))  # type: ignore[attr-defined]


def test_learning_is_drawn_over_training_episodes() -> None:
    (axes,) = draw_learning_curve([0.0, 1.0, 2.0], 4.99, [0, 100, 200]).axes
    assert axes.get_xlabel() == "training episodes"
    assert axes.get_lines()[0].get_xdata().tolist() == [0, 100, 200]  # type: ignore[union-attr]
    named = [text.get_text() for text in axes.get_legend().get_texts()]
    assert named == ["greedy policy (1 seed)", "best possible: 4.99"]
    (older,) = draw_learning_curve([0.0, 1.0], None).axes
    assert older.get_xlabel() == "evaluation"
