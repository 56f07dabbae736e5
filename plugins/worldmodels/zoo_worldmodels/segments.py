"""Segments of episodes, as a world model learns from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from zoo.plugin import EndlessDataset
from zoo_worldmodels.episode import Episode

Segment = dict[str, Tensor]
"""``features`` float32 (L + 1, F), ``scales`` of the same shape where features are drawn around
means, ``actions`` int64 (L,) or float32 (L, A), and float32 (L,) each: ``rewards``, ``ends``, 1 at
the step that ended the episode, and ``mask``, 1 where a step was made."""


def segment(
    episode: Episode, features: Tensor, scales: Tensor | None, start: int, length: int
) -> Segment:
    """Steps ``start`` to ``start + length`` of an episode, and zeros behind its end.

    Args:
        episode: Of T steps.
        features: What its observations are described by, (T + 1, F).
        scales: Standard deviations of them, or None.
        start: The first step.
        length: Steps.
    """
    stop = min(start + length, len(episode))
    steps = stop - start
    actions = torch.from_numpy(episode.actions[start:stop])
    ends = torch.zeros(length)
    if episode.terminated and stop == len(episode):
        ends[steps - 1] = 1
    found = {
        "features": _padded(features[start : stop + 1], length + 1),
        "actions": _padded(actions, length),
        "rewards": _padded(torch.from_numpy(episode.rewards[start:stop]), length),
        "ends": ends,
        "mask": (torch.arange(length) < steps).float(),
    }
    if scales is not None:
        found["scales"] = _padded(scales[start : stop + 1], length + 1)
    return found


def _padded(values: Tensor, length: int) -> Tensor:
    return torch.cat([values, values.new_zeros(length - len(values), *values.shape[1:])])


class Described:
    """Episodes with the features of their observations.

    Args:
        episodes: One or more.
        features: Of each, (T + 1, F).
        scales: Of each, or None where features are not drawn.
    """

    def __init__(
        self,
        episodes: Sequence[Episode],
        features: Sequence[Tensor],
        scales: Sequence[Tensor] | None,
    ) -> None:
        self.episodes, self.features = episodes, features
        self._scales = scales
        self.lengths = np.array([len(each) for each in episodes])

    def segment(self, number: int, start: int, length: int) -> Segment:
        """Of an episode by its number."""
        scales = None if self._scales is None else self._scales[number]
        return segment(self.episodes[number], self.features[number], scales, start, length)


class RandomSegments(EndlessDataset):
    """Segments from anywhere in the episodes, new ones in each epoch; a quarter are beginnings.

    Every step is as likely to be in one as any other; a segment that would go on behind the end of
    its episode begins earlier, where the episode is long enough.

    Args:
        described: The episodes.
        length: Steps of a segment.
        per_epoch: Segments of an epoch.
        seed: Of the draws.
    """

    def __init__(self, described: Described, length: int, per_epoch: int, seed: int) -> None:
        super().__init__(per_epoch)
        self._described, self._steps, self._seed = described, length, seed
        self._ends = described.lengths.cumsum()

    def __getitem__(self, number: int) -> Segment:
        random = np.random.default_rng([self._seed, number])
        step = int(random.integers(self._ends[-1]))
        episode = int(np.searchsorted(self._ends, step, side="right"))
        length = int(self._described.lengths[episode])
        start = step - int(self._ends[episode]) + length
        # A quarter begin with the episode: that is where a dream begins.
        start = 0 if random.random() < 0.25 else min(start, max(0, length - self._steps))
        return self._described.segment(episode, start, self._steps)


class EverySegment(Dataset[Any]):
    """Segments one after the other through all episodes, for validation and test.

    Args:
        described: The episodes.
        length: Steps of a segment.
    """

    def __init__(self, described: Described, length: int) -> None:
        self._described, self._steps = described, length
        self._places = [
            (number, start)
            for number, steps in enumerate(described.lengths.tolist())
            for start in range(0, steps, length)
        ]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Segment:
        number, start = self._places[index]
        return self._described.segment(number, start, self._steps)


class Steps(Dataset[Any]):
    """Single steps: an observation and the action that followed it, as a clone of behavior and an
    encoder of pictures learn from them.

    Args:
        episodes: One or more.
    """

    def __init__(self, episodes: Sequence[Episode]) -> None:
        self._episodes = episodes
        self._places = [
            (number, step) for number, each in enumerate(episodes) for step in range(len(each))
        ]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        number, step = self._places[index]
        episode = self._episodes[number]
        return torch.from_numpy(np.array(episode.observations[step])), torch.as_tensor(
            episode.actions[step]
        )
