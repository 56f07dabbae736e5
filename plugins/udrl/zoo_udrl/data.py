"""Experience: the best episodes so far, to which every iteration adds new ones."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from zoo.plugin import UsageError, at_least, one_of, rename_keys
from zoo_rl.environments import require_trusted
from zoo_rl.episodes import Episodes
from zoo_rl.evaluation import episode_loader
from zoo_rl.loading import IterationLoader
from zoo_rl.probe import probed_facts
from zoo_rl.rollout import Policy, rollout
from zoo_rl.seeding import episode_seeds, generator
from zoo_rl.vector import BACKENDS, EpisodicVectorEnv, make_vec
from zoo_udrl.action_distributions import ActionDistribution, CategoricalActions, GaussianActions
from zoo_udrl.commands import (
    CommandRange,
    command_range,
    evaluation_command,
    exploratory_commands,
)
from zoo_udrl.replay import add_episodes, training_pairs

_COMMANDS, _ACTIONS, _BATCHES = 0, 1, 2
"""What is drawn in an iteration, each by a generator of its own."""
_OLDER_STATE = {
    "extremes": "return_range",
    "beginning": "random_baseline",
    "figures": "metrics",
}
"""Names in checkpoints of zoo 0.1.0."""


class CommandedEpisodes(LightningDataModule):
    """The replay of the best episodes, in any environment of gymnasium.

    An iteration plays episodes by exploratory commands and keeps the best of all so far; batches
    are then drawn from what is kept. The first iteration plays random episodes instead, to warm
    up. A batch of training is ``(observations, commands, actions)``: float32 (N, O), or uint8
    (N, frames, H, W) for images; float32 (N, 2), the desired return and horizon; int64 (N,) or
    float32 (N, A). One of validation or test is ``(seeds,)``, int64 (N,): episodes that the model
    plays itself. Without a model in training, episodes are played at random.

    All that a run gathers is part of this module's state, so that checkpoints hold it.

    Args:
        environment: gymnasium's id, such as ``CartPole-v1``; ``LunarLanderSparse-v3`` is
            LunarLander with its whole return paid at the end.
        batch_size: Training pairs in a batch.
        num_workers: Kept for the common interface; episodes are played in the process of the
            model.
        seed: Seed of the training's episodes and batches. Those of validation and test are always
            the same.
        split: ``standard``, or ``all`` to test on the episodes of validation too.
        max_env_steps: Environment steps of the training's episodes; it ends with the first epoch
            that reaches them. None for no limit. ``--budget env_steps=COUNT`` ends it with the
            first update that follows them.
        warmup_episodes: Random episodes at the beginning.
        episodes_per_iteration: Episodes played in every further iteration.
        updates_per_iteration: Batches drawn in an iteration.
        iterations_per_epoch: Iterations between two validations.
        replay_size: Episodes kept.
        last_few: How many of the best give the range of commands.
        horizon_is_return: Desired returns, rounded down, serve as horizons too, for environments
            that pay 1 a step.
        eval_episodes: Episodes of a validation, and of the test.
        max_episode_steps: Where episodes are cut; the environment's own limit without.
        num_envs: Environments, which is how many episodes run at once.
        backend: ``sync``, or ``envpool``, if it is installed and has the environment.
        frames: Images in an observation, where the environment observes images.
        screen_size: Side of these images, in pixels.

    Raises:
        UsageError: an argument is out of its range, the environment is unknown or its package
            missing, or its observations or actions are of a kind that is not supported.
    """

    not_foldable = (
        "its episodes are played by the agent in training; train it by several seeds instead"
    )
    conformance_arguments = {  # noqa: RUF012  # read, never changed
        "environment": "CartPole-v1",
        "warmup_episodes": 6,
        "episodes_per_iteration": 3,
        "updates_per_iteration": 2,
        "iterations_per_epoch": 2,
        "replay_size": 8,
        "last_few": 3,
        "eval_episodes": 5,
        "max_episode_steps": 60,
    }

    def __init__(
        self,
        environment: str = "CartPole-v1",
        batch_size: int = 256,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        max_env_steps: int | None = None,
        warmup_episodes: int = 50,
        episodes_per_iteration: int = 20,
        updates_per_iteration: int = 100,
        iterations_per_epoch: int = 5,
        replay_size: int = 500,
        last_few: int = 50,
        horizon_is_return: bool = False,
        eval_episodes: int = 100,
        max_episode_steps: int | None = None,
        num_envs: int = 20,
        backend: str = "sync",
        frames: int = 8,
        screen_size: int = 32,
    ) -> None:
        super().__init__()
        counts = {
            "batch_size": batch_size,
            "warmup_episodes": warmup_episodes,
            "episodes_per_iteration": episodes_per_iteration,
            "updates_per_iteration": updates_per_iteration,
            "iterations_per_epoch": iterations_per_epoch,
            "replay_size": replay_size,
            "last_few": last_few,
            "eval_episodes": eval_episodes,
            "num_envs": num_envs,
            "frames": frames,
            "screen_size": screen_size,
            "max_env_steps": 1 if max_env_steps is None else max_env_steps,
        }
        for name, value in counts.items():
            at_least(name, value, 1)
        at_least("seed", seed, 0)
        if last_few > replay_size:
            raise UsageError(f"last_few is {last_few}, of only {replay_size} episodes kept")
        one_of("split", split, ("standard", "all"))
        one_of("backend", backend, BACKENDS)
        require_trusted(environment)
        self.environment, self.batch_size, self.seed = environment, batch_size, seed
        self.split, self.max_env_steps, self.replay_size = split, max_env_steps, replay_size
        self.warmup_episodes, self.last_few = warmup_episodes, last_few
        self.episodes_per_iteration = episodes_per_iteration
        self.updates_per_iteration = updates_per_iteration
        self.iterations_per_epoch = iterations_per_epoch
        self.horizon_is_return, self.eval_episodes = horizon_is_return, eval_episodes
        self.num_envs, self.backend, self.frames = num_envs, backend, frames
        self._options = {"max_episode_steps": max_episode_steps, "screen_size": screen_size}
        self._facts: dict[str, Any] | None = None
        self._envs: EpisodicVectorEnv | None = None
        self._rewards_to_go = torch.empty(0)
        self.replay: Episodes | None = None
        """The best episodes, by falling return; None before the first."""
        self.env_steps = 0
        """Steps of all training episodes so far."""
        self.iterations = 0
        """Iterations whose episodes are played."""
        self.metrics: dict[str, float] = {}
        """Of the latest iteration, by the names that a model logs them under."""
        self.return_range = (float("inf"), float("-inf"))
        """The lowest and the highest return of all training episodes so far."""
        self.random_baseline = (0.0, 1.0)
        """Mean return and length of the random episodes before the first update."""

    @classmethod
    def upgrade_arguments(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        """Arguments that zoo 0.1.0 saved, under today's names."""
        return rename_keys(arguments, {"places": "num_envs", "budget": "max_env_steps"})

    @property
    def facts(self) -> dict[str, Any]:
        """What the environment knows: see ``zoo_rl.environments.describe``; the first length of an
        observation of images is the number of frames."""
        if self._facts is None:
            facts = probed_facts(self.environment, **self._options)
            if len(facts["observation_shape"]) == 3:
                facts["observation_shape"][0] = self.frames
            self._facts = facts
        return dict(self._facts)

    def describe_found(self) -> list[str]:
        """The environment: what is observed and done, and how long an episode may be."""
        facts = self.facts
        shape = "x".join(map(str, facts["observation_shape"]))
        discrete = facts["actions"] == "discrete"
        done = f"{facts['num_actions']} actions" if discrete else "continuous actions"
        found = [self.environment, f"observations of {shape}", done]
        if steps := facts.get("max_episode_steps"):
            found.append(f"{steps} steps an episode at most")
        return found

    @property
    def counters(self) -> dict[str, int]:
        """Steps of all training episodes so far."""
        return {"env_steps": self.env_steps}

    @property
    def envs(self) -> EpisodicVectorEnv:
        """The environments that episodes are played in."""
        if self._envs is None:
            self._envs = make_vec(self.environment, self.num_envs, self.backend, **self._options)
        return self._envs

    @property
    def actions(self) -> ActionDistribution:
        """The distributions of the environment's actions."""
        facts = self.facts
        if facts["actions"] == "discrete":
            return CategoricalActions(facts["num_actions"])
        return GaussianActions(facts["action_low"], facts["action_high"])

    @property
    def commands(self) -> CommandRange:
        """The range of exploratory commands that the replay gives now."""
        assert self.replay is not None
        return command_range(self.replay, self.last_few)

    def setup(self, stage: str) -> None:
        """Refuse what cannot be played before anything is trained."""
        _ = self.facts
        if self.backend != "sync":
            _ = self.envs

    def teardown(self, stage: str) -> None:
        """Close the environments; they are made again when they are needed."""
        if self._envs is not None:
            self._envs.close()
            self._envs = None

    def train_dataloader(self) -> DataLoader[Any]:
        if self.trainer and self.trainer.world_size > 1:
            raise UsageError(
                f"an agent trains in one process, not in {self.trainer.world_size}: set "
                "--trainer.devices 1, and train several seeds side by side instead"
            )
        return IterationLoader(
            self.gather, self.draw, self.iterations_per_epoch, self.updates_per_iteration
        )

    def val_dataloader(self) -> DataLoader[Any]:
        return episode_loader("val", self.eval_episodes, self.num_envs)

    def test_dataloader(self) -> DataLoader[Any]:
        more = ["val"] if self.split == "all" else []
        return episode_loader("test", self.eval_episodes, self.num_envs, *more)

    def gather(self, iteration: int) -> None:
        """Play the episodes of an iteration, unless they are played already.

        Raises:
            EnvironmentFailure: the environment failed; nothing of the iteration is kept.
        """
        if iteration < self.iterations:
            return
        agent: Any = self.trainer.lightning_module if self.trainer else None
        count = self.episodes_per_iteration if self.replay else self.warmup_episodes
        seeds = episode_seeds("train", count, self.seed, iteration)
        random = generator(self.seed, iteration, _ACTIONS)
        metrics: dict[str, float] = {}
        if self.replay is None or agent is None:
            new = rollout(self.envs, self._uniform(random), seeds)
        else:
            drawn = generator(self.seed, iteration, _COMMANDS)
            commands = exploratory_commands(self.commands, count, drawn, self.horizon_is_return)
            new = rollout(self.envs, agent.actor(commands, random), seeds)
            metrics["train/commanded_return"] = float(commands[:, 0].mean())
            metrics["train/commanded_horizon"] = float(commands[:, 1].mean())
            gaps = (commands[:, 0] - new.returns).abs()
            metrics["train/return_gap"] = float(gaps.mean())
        self._keep(new)
        self.iterations += 1
        self.metrics = {
            **metrics,
            "train/return": float(new.returns.mean()),
            "train/length": float(new.lengths.double().mean()),
            "train/env_steps": float(self.env_steps),
        }

    def _keep(self, new: Episodes) -> None:
        if self.replay is None:
            lengths = new.lengths.double().mean()
            self.random_baseline = (float(new.returns.mean()), float(lengths))
        self.replay = add_episodes(self.replay, new, self.replay_size)
        self._rewards_to_go = self.replay.rewards_to_go()
        self.env_steps += new.steps
        low, high = self.return_range
        returns = new.returns
        self.return_range = (min(low, float(returns.min())), max(high, float(returns.max())))

    def _uniform(self, random: torch.Generator) -> Policy:
        actions = self.actions
        return lambda observations, *_: actions.uniform(len(observations), random).numpy()

    def draw(self, iteration: int, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """A batch of an iteration, by its number in it."""
        assert self.replay is not None
        random = generator(self.seed, iteration, _BATCHES, number)
        return training_pairs(
            self.replay, self._rewards_to_go, self.batch_size, random, self.frames
        )

    def evaluation_command(self) -> Tensor:
        """The command to evaluate with: float32 (2,)."""
        return evaluation_command(self.commands, self.horizon_is_return)

    def state_dict(self) -> dict[str, Any]:
        """All that the run has gathered, as tensors and numbers in plain containers."""
        return {
            "replay": self.replay.state() if self.replay else {},
            "env_steps": self.env_steps,
            "iterations": self.iterations,
            "metrics": self.metrics,
            "return_range": list(self.return_range),
            "random_baseline": list(self.random_baseline),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue with what another run, or this one before it was cut, had gathered."""
        state = rename_keys(state_dict, _OLDER_STATE)
        self.replay = Episodes.of_state(state["replay"]) if state["replay"] else None
        if self.replay:
            self._rewards_to_go = self.replay.rewards_to_go()
        self.env_steps, self.iterations = state["env_steps"], state["iterations"]
        self.metrics = dict(state["metrics"])
        low, high = state["return_range"]
        self.return_range = (low, high)
        mean, length = state["random_baseline"]
        self.random_baseline = (mean, length)
