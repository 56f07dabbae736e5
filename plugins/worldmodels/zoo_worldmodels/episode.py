"""One episode of a log, and what its world's observations and actions are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo_rl.episodes import Episodes


@dataclass(frozen=True)
class Episode:
    """T steps, as they happened.

    Attributes:
        observations: (T + 1, ...), float32, or uint8 of pictures: before each step, and the last.
        actions: int64 (T,), or float32 (T, A).
        rewards: float32 (T,).
        terminated: Whether the world ended it; False where it was cut.
        name: What messages call it.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: bool
    name: str

    def __len__(self) -> int:
        return len(self.rewards)


def unpadded(episodes: Episodes, names: Sequence[str]) -> list[Episode]:
    """Episodes one by one."""
    found = []
    for number, (length, name) in enumerate(zip(episodes.lengths.tolist(), names, strict=True)):
        found.append(
            Episode(
                episodes.observations[number, : length + 1].numpy().copy(),
                episodes.actions[number, :length].numpy().copy(),
                episodes.rewards[number, :length].numpy().copy(),
                bool(episodes.terminated[number]),
                name,
            )
        )
    return found
