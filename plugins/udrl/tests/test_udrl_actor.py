"""Acting by commands, step by step."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zoo_udrl.actor import CommandedActor


def test_every_episode_follows_its_own_command() -> None:
    asked: list[list[list[float]]] = []

    def choose(observations: Tensor, commands: Tensor) -> Tensor:
        asked.append(commands.tolist())
        return observations[:, 0].long()

    act = CommandedActor(choose, torch.tensor([[9.0, 3.0], [5.0, 1.0], [7.0, 9.0]]))
    step = np.array([[1.0], [0.0]])
    assert act(step, np.array([0, 1]), np.zeros(2)).tolist() == [1, 0]
    act(step, np.array([0, 1]), np.array([2.0, -1.0]))
    # Episode 1 is over; 2 begins in its place.
    act(step, np.array([0, 2]), np.array([4.0, 0.0]))
    act(step, np.array([2, 0]), np.array([1.0, 1.0]))
    assert asked == [
        [[9, 3], [5, 1]],
        [[7, 2], [6, 1]],
        [[3, 1], [7, 9]],
        [[6, 8], [2, 1]],
    ]


def test_desired_returns_never_exceed_what_can_be_achieved() -> None:
    asked: list[float] = []

    def choose(observations: Tensor, commands: Tensor) -> Tensor:
        asked.append(float(commands[0, 0]))
        return torch.zeros(1)

    act = CommandedActor(choose, torch.tensor([[400.0, 3.0]]), max_return=320)
    act(np.zeros((1, 2)), np.array([0]), np.array([0.0]))
    act(np.zeros((1, 2)), np.array([0]), np.array([20.0]))
    act(np.zeros((1, 2)), np.array([0]), np.array([-100.0]))
    assert asked == [320, 300, 320]


def test_the_last_images_of_an_episode_are_stacked() -> None:
    seen: list[list[list[int]]] = []

    def choose(observations: Tensor, commands: Tensor) -> Tensor:
        assert observations.dtype == torch.uint8
        seen.append(observations[:, :, 0, 0].tolist())
        return torch.zeros(len(observations))

    def image(*values: int) -> np.ndarray:
        return np.array(values, np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)

    act = CommandedActor(choose, torch.tensor([[9.0, 9.0]]).repeat(3, 1), frames=3)
    act(image(1, 11), np.array([0, 1]), np.zeros(2))
    act(image(2, 12), np.array([0, 1]), np.zeros(2))
    act(image(3, 21), np.array([0, 2]), np.zeros(2))
    act(image(22, 4), np.array([2, 0]), np.zeros(2))
    assert seen == [
        [[1, 1, 1], [11, 11, 11]],
        [[1, 1, 2], [11, 11, 12]],
        [[1, 2, 3], [21, 21, 21]],
        [[21, 21, 22], [2, 3, 4]],
    ]
