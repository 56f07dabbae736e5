"""A datamodule whose batches are episodes that the policy in training plays itself."""

from __future__ import annotations

from math import log
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from zoo.plugin import Part, ResumableLoader, at_least, one_of
from zoo_hpg.data.batches import EpisodeBatches
from zoo_hpg.environments import make_environment
from zoo_hpg.environments.optimal_return import optimal_return
from zoo_hpg.episodes import Actor, Episodes


class GoalEpisodes(LightningDataModule):
    """Episodes of one environment; what the environments' datamodules share.

    A batch of training is ``Episodes``. One of validation or test has before that what the
    model's ``forward`` takes: each episode's first observation, flattened, and its goal. In
    training, actions are drawn from the model's policy; in validation and test its likeliest ones
    are taken. Without a model, actions are drawn evenly.

    Args:
        environment: Its description, for ``make_environment``.
        batches_per_epoch: Optimizer steps between two evaluations.
        batch_size: Episodes an optimizer step, N, in each process.
        num_workers: Kept for the common interface; episodes are played in the policy's process.
        seed: Seed of starts, goals, actions and chance.
        split: ``standard`` or ``all``, which are the same: no episode is played twice.
        eval_episodes: Episodes of an evaluation, and of the test.

    Raises:
        UsageError: an argument is out of its range, or a package is missing.
    """

    not_foldable = (
        "its episodes are played by the agent in training; train it by several seeds instead"
    )
    eval_batch_size = 256
    """Episodes of an evaluation that are played at once."""

    def __init__(
        self,
        environment: dict[str, Any],
        batches_per_epoch: int,
        batch_size: int = 2,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        eval_episodes: int = 256,
    ) -> None:
        super().__init__()
        one_of("split", split, ("standard", "all"))
        at_least("batch_size", batch_size, 1)
        at_least("batches_per_epoch", batches_per_epoch, 1)
        at_least("eval_episodes", eval_episodes, 1)
        at_least("seed", seed, 0)
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

    def describe_found(self) -> list[str]:
        """The environment: what is observed, done and aimed at, and how long an episode is."""
        facts = self.facts
        found = [
            str(self.description.get("name", "episodes")),
            f"observations of {'x'.join(map(str, facts['observation_shape']))}",
            f"{len(facts['action_names'])} actions",
            f"{facts['horizon']} steps an episode",
        ]
        if (best := facts["optimal_return"]) is not None:
            found.append(f"best possible return {best:.4g}")
        return found

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
        whole, rest = divmod(self.eval_episodes, self.eval_batch_size)
        return [self.eval_batch_size] * whole + [rest] * (rest > 0)

    def _loader(self, part: Part, sizes: list[int]) -> ResumableLoader:
        def make_actor(goals: Tensor, random: torch.Generator) -> Actor:
            module = self._module
            if module is None:
                return _uniform(len(self.environment.action_names), random)
            actor: Actor = module.actor(goals, random, greedy=part != "train")
            return actor

        processes = self.trainer.world_size if self.trainer else 1
        batches = EpisodeBatches(
            self.environment, make_actor, self._device, sizes, self.seed, part, processes
        )
        return ResumableLoader(batches, None, shuffle=False, collate_fn=_as_played)

    @property
    def _module(self) -> Any:
        return self.trainer.lightning_module if self.trainer else None

    def _device(self) -> torch.device:
        module = self._module
        return torch.device("cpu") if module is None else torch.device(module.device)


def _as_played(batch: Any) -> Any:
    return batch


def _uniform(choices: int, random: torch.Generator) -> Actor:
    def act(observations: Tensor) -> tuple[Tensor, Tensor]:
        shape = (len(observations),)
        actions = torch.randint(choices, shape, generator=random, device=random.device)
        return actions, torch.full(shape, -log(choices), device=random.device)

    return act
