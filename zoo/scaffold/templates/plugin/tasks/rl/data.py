"""Experience: episodes that the policy in training plays before every epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from zoo.plugin import EpochSampler, ResumableLoader, UsageError

from .environment import ACTIONS, OBSERVATION_SIZE, STEPS, play, starts

Policy = Callable[[Tensor], Tensor]
"""From observations (N, OBSERVATION_SIZE) to the logits (N, actions) of the actions."""

PARTS = {"val": 128, "test": 256}
TEST_SEED = 2026


class Steps(Dataset[tuple[Tensor, ...]]):
    """The steps of episodes, one a sample. There are as many in every epoch.

    Args:
        count: Number of steps.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.columns: tuple[Tensor, ...] = ()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return tuple(column[index] for column in self.columns)


class EpisodeLoader(ResumableLoader):
    """Plays new episodes when an epoch begins, then hands out their steps in random order.

    The steps of the epoch are part of its state: a run that is stopped within an epoch
    continues with them, as the policy that played them is gone by then.

    Args:
        policy: The policy to play with.
        episodes: Number of episodes an epoch.
        batch_size: Steps in a batch, in each process.
        seed: Seed of first observations, actions and order.
    """

    def __init__(self, policy: Policy, episodes: int, batch_size: int, seed: int) -> None:
        self._steps = Steps(episodes * STEPS)
        super().__init__(self._steps, batch_size, seed)
        self._policy, self._episodes = policy, episodes

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        assert isinstance(self.sampler, EpochSampler)
        if not self.sampler.start:  # an epoch from its beginning, none that is resumed
            random = torch.Generator().manual_seed((self._seed << 32) + self.sampler.epoch)
            self._steps.columns = experience(self._policy, self._episodes, random)
        yield from super().__iter__()

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "steps": self._steps.columns}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._steps.columns = state["steps"]


def experience(policy: Policy, episodes: int, random: torch.Generator) -> tuple[Tensor, ...]:
    """Play episodes with actions drawn from the policy.

    Returns:
        One entry a step, episode by episode: the observation float32 (OBSERVATION_SIZE,), the
        action int64, its log-probability float32, and its advantage float32: how much better
        than the others the episode ended, in standard deviations.
    """
    log_probabilities = []

    def choose(observations: Tensor) -> Tensor:
        logits = policy(observations)
        actions = torch.multinomial(logits.softmax(1), 1, generator=random)
        log_probabilities.append(logits.log_softmax(1).gather(1, actions)[:, 0])
        return actions[:, 0]

    observations, actions, returns = play(starts(episodes, random), choose)
    advantages = (returns - returns.mean()) / (returns.std() + 1e-6)
    return (
        observations[:, :-1].flatten(0, 1),
        actions.flatten(),
        torch.stack(log_probabilities, 1).flatten(),
        advantages.repeat_interleave(STEPS),
    )


class CatchEpisodes(LightningDataModule):
    """Steps of Catch: a paddle is to be under a ball that falls.

    A batch of training is ``(observations, actions, log_probabilities, advantages)``: float32
    (N, 3), int64 (N,), float32 (N,), float32 (N,). One of validation or test is
    ``(observations,)``, the first ones of episodes that the model plays itself. Without a model
    in training, actions are drawn evenly.

    Args:
        batch_size: Steps in a batch of training, in each process.
        num_workers: Kept for the common interface; episodes are played in the process of the
            policy.
        seed: Seed of the training's episodes. Those of validation and test are always the same.
        split: ``standard``, or ``all`` to test on the episodes of validation too.
        episodes: Episodes played before every epoch.

    Raises:
        UsageError: an argument is out of its range.
    """

    def __init__(
        self,
        batch_size: int = 64,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        episodes: int = 128,
    ) -> None:
        super().__init__()
        if split not in ("standard", "all"):
            raise UsageError(f"split {split!r} is neither 'standard' nor 'all'")
        if episodes < 2:
            raise UsageError(f"episodes is {episodes}; it must be 2 or more, to compare them")
        self.batch_size, self.seed, self.split = batch_size, seed, split
        self.episodes = episodes

    @property
    def facts(self) -> dict[str, Any]:
        """Facts of the environment; constructor arguments of the model with these names are
        filled in, so that no recipe repeats them."""
        return {
            "observation_size": OBSERVATION_SIZE,
            "num_actions": len(ACTIONS),
            "action_names": ACTIONS,
        }

    def train_dataloader(self) -> DataLoader[Any]:
        return EpisodeLoader(self._policy, self.episodes, self.batch_size, self.seed)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._starts(PARTS["val"], TEST_SEED)

    def test_dataloader(self) -> DataLoader[Any]:
        count = PARTS["test"] + (PARTS["val"] if self.split == "all" else 0)
        return self._starts(count, TEST_SEED + 1)

    @torch.no_grad()
    def _policy(self, observations: Tensor) -> Tensor:
        model = self.trainer.lightning_module if self.trainer else None
        if model is None:
            return torch.zeros(len(observations), len(ACTIONS))
        logits: Tensor = model(observations.to(model.device))
        return logits.float().cpu()

    def _starts(self, count: int, seed: int) -> DataLoader[Any]:
        first = starts(count, torch.Generator().manual_seed(seed))
        return ResumableLoader(TensorDataset(first), self.batch_size, self.seed, shuffle=False)
