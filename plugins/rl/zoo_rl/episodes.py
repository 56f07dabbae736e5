"""Episodes as padded tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class Episodes:
    """N episodes of up to T steps. What lies behind an episode's end is 0.

    Attributes:
        observations: (N, T + 1, ...), float32 or uint8: one before every step, and the last.
        actions: int64 (N, T), or float32 (N, T, A).
        rewards: float32 (N, T).
        lengths: int64 (N,), steps of each episode.
        terminated: bool (N,), True where the environment ended the episode, False where it was
            cut by a limit of steps.
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    lengths: Tensor
    terminated: Tensor

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def returns(self) -> Tensor:
        """Undiscounted returns, float32 (N,)."""
        return self.rewards.double().sum(dim=1).float()

    @property
    def steps(self) -> int:
        """Steps of all episodes together."""
        return int(self.lengths.sum())

    def __getitem__(self, index: Tensor | Sequence[int] | slice) -> Episodes:
        """Some of the episodes, padded no further than the longest of them needs."""
        if not isinstance(index, slice):
            index = torch.as_tensor(index)
        lengths = self.lengths[index]
        longest = int(lengths.max()) if len(lengths) else 0
        return Episodes(
            self.observations[index, : longest + 1],
            self.actions[index, :longest],
            self.rewards[index, :longest],
            lengths,
            self.terminated[index],
        )

    def rewards_to_go(self) -> Tensor:
        """Sums of the rewards from each step on, that of the step included: float32 (N, T)."""
        return self.rewards.double().flip(1).cumsum(1).flip(1).float()

    def state(self) -> dict[str, Tensor]:
        """The tensors by name, as checkpoints hold them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of_state(cls, state: dict[str, Tensor]) -> Episodes:
        """What ``state`` was made of."""
        return cls(**state)


def join(parts: Sequence[Episodes]) -> Episodes:
    """Episodes one after the other, padded to the longest.

    Args:
        parts: One or more, of the same environment.
    """
    longest = max(part.rewards.shape[1] for part in parts)
    return Episodes(
        torch.cat([_pad(part.observations, longest + 1) for part in parts]),
        torch.cat([_pad(part.actions, longest) for part in parts]),
        torch.cat([_pad(part.rewards, longest) for part in parts]),
        torch.cat([part.lengths for part in parts]),
        torch.cat([part.terminated for part in parts]),
    )


def _pad(values: Tensor, length: int) -> Tensor:
    missing = length - values.shape[1]
    if not missing:
        return values
    return torch.cat([values, values.new_zeros(len(values), missing, *values.shape[2:])], dim=1)
