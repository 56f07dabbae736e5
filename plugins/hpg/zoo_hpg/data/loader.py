"""Batches of episodes that are played when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from zoo.plugin import EpochSampler, ResumableLoader
from zoo_hpg.environments import Environment
from zoo_hpg.episodes import Actor, rollout
from zoo_hpg.networks.frozen import full_precision
from zoo_rl.seeding import generator

MakeActor = Callable[..., Actor]
"""From goals (N, D), and ``random`` to draw from."""
STAGES = {"train": 0, "val": 1, "test": 2}


class IndexDataset(Dataset[int]):
    """Stands for episodes that are yet to be played.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        return index


class EpisodeLoader(ResumableLoader):
    """Plays a batch of episodes whenever one is asked for, with the policy as it is then.

    A batch's random numbers come from seed, epoch and its own number, so that a run that is
    stopped continues as if it had not been.

    Args:
        environment: Where to play.
        make_actor: Gives what chooses the actions.
        device: Where episodes live.
        sizes: Episodes of each batch of an epoch, in each process; the last may be smaller.
        seed: Seed of everything random.
        stage: ``train``, ``val`` or ``test``: each has random numbers of its own.
    """

    def __init__(
        self,
        environment: Environment,
        make_actor: MakeActor,
        device: Callable[[], torch.device],
        sizes: list[int],
        seed: int,
        stage: str,
    ) -> None:
        super().__init__(IndexDataset(sum(sizes)), sizes[0], seed, shuffle=False)
        self._environment, self._make_actor, self._device = environment, make_actor, device
        self._sizes, self._stage = sizes, STAGES[stage]

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        sampler = self.sampler
        assert isinstance(sampler, EpochSampler)
        first, sampler.start = sampler.start // self._sizes[0], 0
        for number, size in list(enumerate(self._sizes))[first:]:
            self._batches = number + 1
            yield self._play(sampler, number, size)

    def _play(self, sampler: EpochSampler, number: int, size: int) -> tuple[Tensor, ...]:
        epoch = 0 if self._stage == STAGES["test"] else sampler.epoch
        position = (self._seed, self._stage, epoch, number, sampler.rank)
        random = generator(*position, device=str(self._device()))
        with full_precision(random.device):
            make_actor = partial(self._make_actor, random=random)
            played = rollout(self._environment, make_actor, size, random)
        if self._stage == STAGES["train"]:
            return played
        return torch.cat([played.observations[:, 0].flatten(1), played.goals], 1), *played
