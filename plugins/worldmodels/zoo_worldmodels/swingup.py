"""The data `pole-swingup`: a pole that hangs from its cart, and is to be swung up."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from zoo.plugin import Facts, Reference, at_least
from zoo_rl.seeding import generator
from zoo_worldmodels import pole
from zoo_worldmodels.episode import Episode
from zoo_worldmodels.episodes_data import EpisodesData

SUBSTEPS = 2  # of 0.02 s in a step
_SPEED, _SPIN = 3.0, 8.0


def swing(state: Tensor, action: Tensor) -> Tensor:
    """States 0.04 s later, (..., 4).

    Args:
        state: As of ``pole.step``; the pole may turn all around, and the track has no end.
        action: (...,), from -1 to 1.
    """
    for _ in range(SUBSTEPS):
        state = pole.step(state, action)
    return state


def seen(state: Tensor) -> Tensor:
    """What is observed: position, speed, cosine and sine of the angle, spin: (..., 5)."""
    x, speed, angle, spin = state.unbind(-1)
    return torch.stack([x, speed, angle.cos(), angle.sin(), spin], -1)


def reward(state: Tensor) -> Tensor:
    """From 0 where the pole hangs to 1 where it is upright in the middle: (...,)."""
    upright = (1 + state[..., 2].cos()) / 2
    return upright * (1 - 0.2 * (state[..., 0] / pole.MAX_POSITION).square()).clamp(min=0.0)


def hanging(count: int, random: torch.Generator) -> Tensor:
    """States that a swing-up begins with: float32 (count, 4)."""
    state = pole.starts(count, random)
    state[:, 2] += math.pi
    return state


class PoleSwingup(EpisodesData):
    """Episodes of random forces on a cart with a pole, from states of all kinds.

    Each force is held for some steps. The episodes cover more than a fall from upright: they begin
    with any angle, and with speeds up to 3 m/s and 8 rad/s.

    Args:
        episodes: How many.
        steps: Of each, of 0.04 s.
        batch_size: Segments in a batch.
        num_workers: Processes that prepare batches.
        seed: Of what is drawn in training.
        split: ``standard``, or ``all`` to test on everything.
        items: ``segments`` for a world model, ``steps`` for a clone of behavior.
        length: Steps of a segment in training.
        eval_length: Steps of a segment in validation and test.
        per_epoch: Segments of a training epoch.
        val_fraction: Part of the episodes for validation.
        test_fraction: Part of the episodes for the test.
        encoder: A model whose codes of pictures are the features; there are none here.

    Raises:
        UsageError: an argument is out of its range.
    """

    conformance_arguments = {"episodes": 40, "length": 10, "per_epoch": 64}  # noqa: RUF012

    def __init__(
        self,
        episodes: int = 400,
        steps: int = 60,
        batch_size: int = 64,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        items: Literal["segments", "steps"] = "segments",
        length: int = 20,
        eval_length: int = 60,
        per_epoch: int = 1280,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        encoder: Reference | None = None,
    ) -> None:
        super().__init__(
            "the pole to swing up",
            batch_size,
            num_workers,
            seed,
            split,
            items,
            length,
            eval_length,
            per_epoch,
            val_fraction,
            test_fraction,
            encoder,
        )
        at_least("episodes", episodes, 1)
        at_least("steps", steps, 1)
        self._count, self._steps = episodes, steps

    def spaces(self) -> Facts:
        return {
            "environment": "",
            "observation_shape": [5],
            "actions": "continuous",
            "num_actions": 1,
            "action_low": [-1.0],
            "action_high": [1.0],
            "max_episode_steps": 0,
        }

    def read(self) -> list[Episode]:
        random = generator(1990)
        wide = torch.tensor([pole.MAX_POSITION, _SPEED, math.pi, _SPIN])
        state = (2 * torch.rand(self._count, 4, generator=random) - 1) * wide
        observed, acted, paid = [seen(state)], [], []
        action = torch.zeros(self._count)
        for _ in range(self._steps):
            new = 2 * torch.rand(self._count, generator=random) - 1
            action = torch.where(torch.rand(self._count, generator=random) < 0.3, new, action)
            state = swing(state, action)
            observed.append(seen(state))
            acted.append(action[:, None])
            paid.append(reward(state))
        return [
            Episode(each.numpy(), action.numpy(), rewards.numpy(), False, f"episode {number}")
            for number, (each, action, rewards) in enumerate(
                zip(
                    torch.stack(observed, 1),
                    torch.stack(acted, 1),
                    torch.stack(paid, 1),
                    strict=True,
                )
            )
        ]
