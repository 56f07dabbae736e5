"""Batches of episodes that are played when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from zoo.plugin import EndlessDataset, Part
from zoo_hpg.environments import Environment
from zoo_hpg.episodes import Actor, rollout
from zoo_hpg.networks.frozen import full_precision
from zoo_rl.seeding import generator

MakeActor = Callable[..., Actor]
"""From goals (N, D), and ``random`` to draw from."""
PARTS: dict[Part, int] = {"train": 0, "val": 1, "test": 2}


class EpisodeBatches(EndlessDataset):
    """Plays a batch of episodes whenever one is asked for, with the policy as it is then.

    A batch's random numbers come from seed, part, epoch, its own number and its process, so that a
    run that is stopped continues as if it had not been. The test is the same in every epoch.

    Args:
        environment: Where to play.
        make_actor: Gives what chooses the actions.
        device: Where episodes live.
        sizes: Episodes of each batch of an epoch, in each process.
        seed: Seed of everything random.
        part: Each has random numbers of its own.
        processes: How many take turns to ask for batches.
    """

    def __init__(
        self,
        environment: Environment,
        make_actor: MakeActor,
        device: Callable[[], torch.device],
        sizes: list[int],
        seed: int,
        part: Part,
        processes: int = 1,
    ) -> None:
        super().__init__(len(sizes) * processes)
        self._environment, self._make_actor, self._device = environment, make_actor, device
        self._sizes, self._seed, self._part, self._processes = sizes, seed, part, processes

    def __getitem__(self, number: int) -> tuple[Tensor, ...]:
        epoch, rest = divmod(number, len(self))
        batch, rank = divmod(rest, self._processes)
        position = (PARTS[self._part], 0 if self._part == "test" else epoch, batch, rank)
        random = generator(self._seed, *position, device=str(self._device()))
        with full_precision(random.device):
            make_actor = partial(self._make_actor, random=random)
            played = rollout(self._environment, make_actor, self._sizes[batch], random)
        if self._part == "train":
            return played
        return torch.cat([played.observations[:, 0].flatten(1), played.goals], 1), *played
