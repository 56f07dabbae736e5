"""Experience: batches of episodes that the policy in training plays itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import log
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from zoo.plugin import EpochSampler, ResumableLoader, UsageError
from zoo_hpg.environments import Environment, make_environment
from zoo_hpg.episodes import Chooser, Episodes, play
from zoo_hpg.inference import exactly
from zoo_hpg.optimal import optimal_return
from zoo_rl.seeding import generator

Begin = Callable[..., Chooser]
"""From goals (N, D), and ``random`` to draw from."""
STAGES = {"train": 0, "val": 1, "test": 2}


class Numbers(Dataset[int]):
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
    stopped plays on as if it had not been.

    Args:
        environment: Where to play.
        begin: What chooses the actions.
        device: Where episodes live.
        sizes: Episodes of each batch of an epoch, in each process; the last may be smaller.
        seed: Seed of everything random.
        stage: ``train``, ``val`` or ``test``: each has random numbers of its own.
    """

    def __init__(
        self,
        environment: Environment,
        begin: Begin,
        device: Callable[[], torch.device],
        sizes: list[int],
        seed: int,
        stage: str,
    ) -> None:
        super().__init__(Numbers(sum(sizes)), sizes[0], seed, shuffle=False)
        self._environment, self._begin, self._device = environment, begin, device
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
        with exactly(random.device):
            begin = partial(self._begin, random=random)
            played = play(self._environment, begin, size, random)
        if self._stage == STAGES["train"]:
            return played
        return torch.cat([played.observations[:, 0].flatten(1), played.goals], 1), *played


class GoalEpisodes(LightningDataModule):
    """Episodes of one environment; what the environments' datamodules share.

    A batch of training is ``Episodes``. One of validation or test has before that what the
    model's ``forward`` takes: each episode's first observation, flattened, and its goal. In
    training, actions are drawn from the model's policy; in validation and test its likeliest ones
    are taken. Without a model, actions are drawn evenly.

    Args:
        environment: Its description, for ``make_environment``.
        batch_size: Episodes an optimizer step, N, in each process.
        num_workers: Kept for the common interface; episodes are played in the process of the
            policy.
        seed: Seed of starts, goals, actions and chance.
        split: ``standard``, or ``all``, which is the same here.
        batches_per_epoch: Optimizer steps between two evaluations.
        eval_episodes: Episodes of an evaluation, and of the test.

    Raises:
        UsageError: an argument is out of its range, or a package is missing.
    """

    side_by_side = 256
    """Episodes of an evaluation that are played at once."""

    def __init__(
        self,
        environment: dict[str, Any],
        batch_size: int,
        num_workers: int,
        seed: int,
        split: str,
        batches_per_epoch: int,
        eval_episodes: int,
    ) -> None:
        super().__init__()
        if split not in ("standard", "all"):
            raise UsageError(f"split {split!r} is neither 'standard' nor 'all'")
        for name, value in (
            ("batch_size", batch_size),
            ("batches_per_epoch", batches_per_epoch),
            ("eval_episodes", eval_episodes),
        ):
            if value < 1:
                raise UsageError(f"data.{name} is {value}; it has to be 1 or more")
        self.description = environment
        self.batch_size, self.seed, self.split = batch_size, seed, split
        self.batches_per_epoch, self.eval_episodes = batches_per_epoch, eval_episodes
        self._environment: Any = None

    @property
    def environment(self) -> Any:
        """The environment, made when it is first needed."""
        if self._environment is None:
            self._environment = make_environment(self.description)
        return self._environment

    @property
    def facts(self) -> dict[str, Any]:
        """What the environment knows."""
        environment = self.environment
        return {
            "environment": self.description,
            "observation_shape": list(environment.observation_shape),
            "goal_size": environment.goal_size,
            "action_names": environment.action_names,
            "horizon": environment.horizon,
            "tolerance": environment.tolerance,
            "optimal_return": optimal_return(environment),
        }

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader("train", [self.batch_size] * self.batches_per_epoch)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader("val", self._eval_sizes)

    def test_dataloader(self) -> DataLoader[Any]:
        return self._loader("test", self._eval_sizes)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, index: int) -> Any:
        """Episodes are played on the model's device; to look through them again takes longer than
        a small step."""
        if batch[0].device == device:
            return batch
        moved = [each.to(device) for each in batch]
        return Episodes(*moved) if isinstance(batch, Episodes) else tuple(moved)

    @property
    def _eval_sizes(self) -> list[int]:
        whole, rest = divmod(self.eval_episodes, self.side_by_side)
        return [self.side_by_side] * whole + [rest] * (rest > 0)

    def _loader(self, stage: str, sizes: list[int]) -> EpisodeLoader:
        def begin(goals: Tensor, random: torch.Generator) -> Chooser:
            module = self._module
            if module is not None:
                return module.begin(goals, random, greedy=stage != "train")
            return _evenly(len(self.environment.action_names), random)

        return EpisodeLoader(self.environment, begin, self._place, sizes, self.seed, stage)

    @property
    def _module(self) -> Any:
        return self.trainer.lightning_module if self.trainer else None

    def _place(self) -> torch.device:
        return self._module.device if self._module is not None else torch.device("cpu")


def _evenly(choices: int, random: torch.Generator) -> Chooser:
    def choose(observations: Tensor) -> tuple[Tensor, Tensor]:
        shape = (len(observations),)
        actions = torch.randint(choices, shape, generator=random, device=random.device)
        return actions, torch.full(shape, -log(choices), device=random.device)

    return choose
